import { useQuery } from '@tanstack/react-query'
import { buttonClass } from '@/components/ui/button'
import { oidcQuery } from './api'

/** Why somebody came back from the provider without a session, by the word in the address. */
const REFUSALS: Readonly<Record<string, string>> = {
  expired: 'This sign-in was not begun here, or too long ago. Try again.',
  refused: 'You were not signed in there.',
  provider: 'Signing in there did not work. If it goes on, tell an administrator: the log says why.',
  unverified: 'Your e-mail address is not verified there. Verify it, then try again.',
  taken: 'Your e-mail address belongs to somebody who signs in with another account. Ask an administrator.',
  unknown: 'Nobody has added you here. Ask an administrator.',
  disabled: 'Your account is disabled. Ask an administrator.',
}

type OidcSignInProps = { next: string; refused: string | null }

/** The way to an OpenID provider, where there is one, and why it did not work the last time. */
export function OidcSignIn({ next, refused }: OidcSignInProps) {
  const oidc = useQuery(oidcQuery)
  if (!oidc.data?.enabled) return null
  return (
    <div className="mb-4 grid gap-4 border-b border-line pb-5">
      {refused ? (
        <p role="alert" className="text-body text-tx-failed">
          {REFUSALS[refused] ?? REFUSALS.provider}
        </p>
      ) : null}
      <a
        href={`/api/v1/auth/oidc/start?next=${encodeURIComponent(next)}`}
        className={buttonClass({}, 'h-9 justify-center')}
      >
        Sign in with {oidc.data.label}
      </a>
    </div>
  )
}
