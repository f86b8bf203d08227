import type { Tokens, User } from './generated/types.gen'

/** `starting`: not asked yet; `in`: we hold an access token; `out`: sign in first. */
export type Session = { phase: 'starting' } | { phase: 'in'; user: User } | { phase: 'out' }

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
  become({ phase: 'in', user: tokens.user }, tokens.access_token)
}

export function closeSession(): void {
  become({ phase: 'out' }, null)
}

/**
 * Exchange the refresh cookie for a new access token; true when we are signed in afterwards.
 *
 * Callers that come while one exchange is under way share it. Without an answer from the server the
 * session stays as it is: being offline is not being signed out. At the start it counts as signed out.
 */
export function refreshSession(): Promise<boolean> {
  refreshing ??= exchange().finally(() => {
    refreshing = null
  })
  return refreshing
}

async function exchange(): Promise<boolean> {
  try {
    const response = await fetch('/api/v1/auth/refresh', { method: 'POST', credentials: 'same-origin' })
    if (response.ok) {
      openSession((await response.json()) as Tokens)
      return true
    }
    if (response.status === 401 || response.status === 403) closeSession()
  } catch {
    // No answer; handled below.
  }
  if (session.phase === 'starting') closeSession()
  return false
}
