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

// The next person at this browser must not see what the last one saw.
subscribeSession(() => readSession().phase === 'out' && queryClient.clear())
