import { Navigate, useSearchParams } from 'react-router'
import { useSession } from '@/api/use-session'
import { OidcSignIn } from '@/features/identity/oidc-sign-in'
import { SignInForm } from '@/features/identity/sign-in-form'
import { Splash } from '../root-layout'
import { Mark } from '../shell/mark'

/** Only an address of this application: a link must not lead a fresh session elsewhere. */
const within = (next: string | null): string => (next && /^\/(?![/\\])/.test(next) ? next : '/')

export default function SignInPage() {
  const session = useSession()
  const [search] = useSearchParams()
  if (session.phase === 'starting') return <Splash trouble={session.trouble} />
  if (session.phase === 'in') return <Navigate to={within(search.get('next'))} replace />
  return (
    <main className="grid min-h-full place-items-center p-4">
      <title>Sign in · Spark-Ops</title>
      <div className="w-full max-w-80 pb-[10vh]">
        <div className="mb-6 flex items-center gap-3">
          <Mark className="size-8" />
          <div>
            <h1 className="text-title font-semibold tracking-[-0.01em]">Sign in to Spark-Ops</h1>
            <p className="font-mono text-dense text-ink-3">{location.host}</p>
          </div>
        </div>
        <div className="rounded-lg border border-line bg-surface p-5">
          <SignInForm />
          <OidcSignIn next={within(search.get('next'))} refused={search.get('refused')} />
        </div>
      </div>
    </main>
  )
}
