import { Navigate, useSearchParams } from 'react-router'
import { useSession } from '@/api/use-session'
import { OidcSignIn } from '@/features/identity/oidc-sign-in'
import { SignInForm } from '@/features/identity/sign-in-form'
import { Splash } from '../root-layout'
import { Entrance } from '../shell/entrance'

/** Only an address of this application: a link must not lead a fresh session elsewhere. */
const within = (next: string | null): string => (next && /^\/(?![/\\])/.test(next) ? next : '/')

export default function SignInPage() {
  const session = useSession()
  const [search] = useSearchParams()
  if (session.phase === 'starting') return <Splash trouble={session.trouble} />
  if (session.phase === 'in') return <Navigate to={within(search.get('next'))} replace />
  return (
    <Entrance title="Sign in to Spark-Ops">
      <OidcSignIn next={within(search.get('next'))} refused={search.get('refused')} />
      <SignInForm />
    </Entrance>
  )
}
