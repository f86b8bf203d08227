import { type QueryClient, type QueryFilters, useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { Call, Event, Run, Step } from '@/api/generated/types.gen'
import { mergeEvents } from '@/api/live-merge'
import { live } from '@/api/use-live'
import { coalesce } from '@/lib/coalesce'
import { runKeys } from './keys'
import { endedCalls, patchCalls, patchRun, patchSteps } from './live-patch'
import { dropTexts, forgetTexts, takeText } from './stream-store'

const EVERY_MS = 700
/** A large run is asked for less often; its statuses follow the events all the same. */
const LARGE = 500
const LARGE_EVERY_MS = 4000

/** While a run is shown, its parts follow its events. `run` is the run as first fetched, or undefined before. */
export function useRunLive(run: Run | undefined): void {
  const queryClient = useQueryClient()
  const runId = run?.id
  const ready = run !== undefined
  const large = (run?.steps_total ?? 0) > LARGE
  useEffect(() => {
    if (runId === undefined || !ready) return
    const since = queryClient.getQueryData<Run>(runKeys.run(runId))?.last_seq ?? 0
    const ended: string[] = []
    const refresh = coalesce(
      async () => {
        const recorded = ended.splice(0)
        await readAgain(queryClient, runId)
        dropTexts(recorded)
      },
      large ? LARGE_EVERY_MS : EVERY_MS,
    )
    const onEvents = (events: Event[]) => {
      queryClient.setQueryData<Run>(runKeys.run(runId), (old) => old && patchRun(old, events))
      queryClient.setQueryData<Step[]>(runKeys.steps(runId), (old) => old && patchSteps(old, events))
      queryClient.setQueryData<readonly Call[]>(runKeys.calls(runId), (old) => old && patchCalls(old, events))
      ended.push(...endedCalls(events))
      extendLog(queryClient, runId, events)
      refresh.call()
    }
    const leave = live.listenToRun(runId, since, { onEvents, onText: takeText })
    return () => {
      leave()
      refresh.stop()
      forgetTexts()
    }
  }, [runId, ready, large, queryClient])
}

/**
 * Asks for the parts of a run again. A first answer that is still under way may be older than the event that
 * brought us here, and asking again would only join it: it is awaited before.
 */
async function readAgain(queryClient: QueryClient, runId: string): Promise<void> {
  const parts: QueryFilters = {
    queryKey: runKeys.run(runId),
    predicate: (query) => query.queryKey[2] !== 'events',
  }
  const first = queryClient
    .getQueryCache()
    .findAll({ ...parts, fetchStatus: 'fetching' })
    .filter((query) => query.state.data === undefined)
  await Promise.allSettled(first.map((query) => query.promise))
  await queryClient.invalidateQueries(parts)
}

/** Puts new events behind the log that is shown. If some are missing in between, the log is read again. */
function extendLog(queryClient: QueryClient, runId: string, events: readonly Event[]): void {
  const queryKey = runKeys.events(runId)
  const log = queryClient.getQueryData<Event[]>(queryKey)
  if (!log) return
  const { fresh, gap } = mergeEvents(log.at(-1)?.seq ?? 0, events)
  if (gap) void queryClient.invalidateQueries({ queryKey })
  else if (fresh.length > 0) queryClient.setQueryData<Event[]>(queryKey, [...log, ...fresh])
}
