import type { Problem, Tokens, User } from './generated/types.gen'
import { reconnectDelay } from './live-merge'
import { asProblem, readProblem, unreachable } from './problem'

/**
 * `starting`: not known yet, with why it takes so long; `in`: we hold an access token; `out`: sign in first.
 * `mustEnrol`: it is good for nothing but setting up a second factor.
 */
export type Session =
  | { phase: 'starting'; trouble?: Problem }
  | { phase: 'in'; user: User; mustEnrol: boolean }
  | { phase: 'out' }

const REFRESH = '/api/v1/auth/refresh'

let session: Session = { phase: 'starting' }
let accessToken: string | null = null
let refreshing: Promise<boolean> | null = null
const listeners = new Set<() => void>()

function become(next: Session, token: string | null): void {
  session = next
  accessToken = token
  for (const listener of listeners) listener()
}

export function subscribeSession(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const readSession = (): Session => session

/** The access token. It lives in memory only: a script from elsewhere finds none in any storage. */
export const readAccessToken = (): string | null => accessToken

export function openSession(tokens: Tokens): void {
  become({ phase: 'in', user: tokens.user, mustEnrol: tokens.must_enrol }, tokens.access_token)
}

/** Another session takes the place of this one, which has ended: what is shown stays until `refreshSession`. */
export function continueSession(tokens: Tokens): void {
  become(session, tokens.access_token)
}

/** The name of who is signed in has changed. */
export function renameSelf(name: string): void {
  if (session.phase === 'in') become({ ...session, user: { ...session.user, name } }, accessToken)
}

export function closeSession(): void {
  become({ phase: 'out' }, null)
}

/**
 * Exchange the refresh cookie for a new access token; true when we are signed in afterwards.
 *
 * Callers that come while one exchange is under way share it. Only the server's word that the cookie is no
 * good ends the session: being offline, or a server in trouble, is not being signed out.
 *
 * Throws `RequestFailed` when the server could not say.
 */
export function refreshSession(): Promise<boolean> {
  refreshing ??= exchange().finally(() => {
    refreshing = null
  })
  return refreshing
}

async function exchange(): Promise<boolean> {
  const response = await fetch(REFRESH, { method: 'POST', credentials: 'same-origin' }).catch(() => null)
  if (response === null) throw unreachable(REFRESH)
  if (response.ok) {
    openSession((await response.json()) as Tokens)
    return true
  }
  if (response.status !== 401 && response.status !== 403) throw await readProblem(response)
  closeSession()
  return false
}

/** Looks up whether somebody is signed in, again and again until the server can say. */
export async function startSession(): Promise<void> {
  for (let failures = 0; session.phase === 'starting'; failures += 1) {
    try {
      await refreshSession()
    } catch (error) {
      if (session.phase === 'starting') become({ phase: 'starting', trouble: asProblem(error) }, null)
      await pause(reconnectDelay(failures, Math.random))
    }
  }
}

/** So long, or until the network is back. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      removeEventListener('online', done)
      resolve()
    }
    addEventListener('online', done)
  })
}
