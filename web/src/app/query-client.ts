import { QueryClient } from '@tanstack/react-query'
import { RequestFailed } from '@/api/problem'
import { readSession, subscribeSession } from '@/api/session'

const RETRIES = 2
const FRESH_MS = 5_000

/** Only what may pass by itself is tried again: no answer, too many requests, a server in trouble. */
function mayPass(failures: number, error: Error): boolean {
  if (!(error instanceof RequestFailed) || failures >= RETRIES) return false
  return error.status === 0 || error.status === 429 || error.status >= 500
}

export function makeQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      // A machine without a network still reaches a server that runs on it: asking is the only way to know.
      queries: { retry: mayPass, staleTime: FRESH_MS, networkMode: 'always', refetchOnReconnect: true },
      mutations: { retry: false, networkMode: 'always' },
    },
  })
}

export const queryClient = makeQueryClient()

/**
 * Whatever was read is forgotten when whoever read it signs out: the next person at this browser must not see it.
 *
 * To learn that nobody is signed in yet forgets nothing. The pages before signing in have asked by then, and a query
 * that is dropped while its answer is on the way never tells its page.
 */
export function forgetWithTheSession(client: QueryClient): () => void {
  let somebody = false
  return subscribeSession(() => {
    const { phase } = readSession()
    if (somebody && phase === 'out') client.clear()
    somebody = phase === 'in'
  })
}

forgetWithTheSession(queryClient)
