import { useSyncExternalStore } from 'react'
import { request } from './client'
import type { CreateLiveTicketData, CreateLiveTicketResponse } from './generated/types.gen'
import { Live, type LiveState } from './live'
import { readSession, subscribeSession } from './session'

async function getTicket(): Promise<string> {
  const answer = await request<CreateLiveTicketData, CreateLiveTicketResponse>('POST', '/api/v1/live/tickets')
  return answer.ticket
}

function connect(ticket: string): WebSocket {
  const address = new URL('/api/v1/ws', location.href)
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  address.searchParams.set('ticket', ticket)
  return new WebSocket(address)
}

export const live = new Live({ getTicket, connect })

/** Ties the live connection to the session and the network; once, at the start. */
export function superviseLive(): void {
  addEventListener('online', live.retryNow)
  addEventListener('offline', live.doubt)
  document.addEventListener(
    'visibilitychange',
    () => document.visibilityState === 'visible' && live.retryNow(),
  )
  subscribeSession(() => readSession().phase === 'out' && live.close())
}

export const useLiveState = (): LiveState => useSyncExternalStore(live.watch, live.read)

/** How often to ask while nothing is pushed; false while the live connection does it. */
export function usePolling(everyMs: number): number | false {
  return useLiveState().phase === 'live' ? false : everyMs
}
