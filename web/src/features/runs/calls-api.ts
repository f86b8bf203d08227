import { queryOptions } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  Call,
  Event,
  ListCallsData,
  ListCallsResponse,
  ListEventsData,
  ListEventsResponse,
} from '@/api/generated/types.gen'
import { runKeys } from './keys'

const CALLS_A_PAGE = 200
/** Calls carry whole conversations: a page shows this many and says when there are more. */
export const MOST_CALLS = 1000
const EVENTS_A_PAGE = 1000
export const MOST_EVENTS = 20_000

/** The first thousand calls of a run. */
export const callsQuery = (runId: string) =>
  queryOptions({
    queryKey: runKeys.calls(runId),
    queryFn: async ({ signal }) => {
      const calls: Call[] = []
      let cursor: string | null = null
      do {
        const page: ListCallsResponse = await request<ListCallsData, ListCallsResponse>(
          'GET',
          '/api/v1/runs/{run_id}/calls',
          { path: { run_id: runId }, query: { limit: CALLS_A_PAGE, cursor }, signal },
        )
        calls.push(...page.items)
        cursor = page.next_cursor
      } while (cursor !== null && calls.length < MOST_CALLS)
      return calls
    },
  })

/** The event log of a run from its beginning. Later events are put behind it as they happen. */
export const eventsQuery = (runId: string) =>
  queryOptions({
    queryKey: runKeys.events(runId),
    queryFn: async ({ signal }) => {
      const events: Event[] = []
      for (;;) {
        const since = events.at(-1)?.seq ?? 0
        const page = await request<ListEventsData, ListEventsResponse>(
          'GET',
          '/api/v1/runs/{run_id}/events',
          {
            path: { run_id: runId },
            query: { since, limit: EVENTS_A_PAGE },
            signal,
          },
        )
        events.push(...page.items)
        if (page.items.length < EVENTS_A_PAGE || events.length >= MOST_EVENTS) return events
      }
    },
  })
