import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  Backtest,
  BacktestSummary,
  CancelBacktestData,
  CancelBacktestResponse,
  Change,
  GetBacktestData,
  GetBacktestResponse,
  ListBacktestsData,
  ListBacktestsResponse,
  ListFlipsData,
  ListFlipsResponse,
  NewBacktest,
  StartBacktestData,
  StartBacktestResponse,
} from '@/api/generated/types.gen'

const WATCH_MS = 500
const DAY_MS = 86_400_000

/** When a window of so many days begins. */
export const daysAgo = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString()

export const backtestKeys = {
  of: (project: string, policy: string | null) => ['backtests', project, policy] as const,
  one: (id: string) => ['backtest', id] as const,
}

/** Whether nothing more comes of it; what was found may be a part. */
export const isJudged = (backtest: BacktestSummary): boolean =>
  backtest.status === 'done' || backtest.status === 'failed' || backtest.status === 'cancelled'

/** Whether all was judged: only then it stands for what a version would have meant. */
export const isDone = (backtest: BacktestSummary): boolean => backtest.status === 'done'

/** The newest backtests of a policy in a project; for administrators also those over all projects. */
export const backtestsQuery = (project: string, policy: string) =>
  queryOptions({
    queryKey: backtestKeys.of(project, policy),
    queryFn: ({ signal }) =>
      request<ListBacktestsData, ListBacktestsResponse>('GET', '/api/v1/backtests', {
        query: { project, policy, limit: 20 },
        signal,
      }),
    refetchInterval: ({ state }: { state: { data: ListBacktestsResponse | undefined } }) =>
      (state.data?.items ?? []).every(isJudged) ? false : WATCH_MS,
  })

/** One backtest; asked for again while it is judged. */
export const backtestQuery = (id: string) =>
  queryOptions({
    queryKey: backtestKeys.one(id),
    queryFn: ({ signal }) =>
      request<GetBacktestData, GetBacktestResponse>('GET', '/api/v1/backtests/{backtest_id}', {
        path: { backtest_id: id },
        signal,
      }),
    refetchInterval: ({ state }: { state: { data: Backtest | undefined } }) =>
      state.data && isJudged(state.data) ? false : WATCH_MS,
  })

export const flipsQuery = (id: string, change: Change | null, judged: boolean) =>
  infiniteQueryOptions({
    queryKey: [...backtestKeys.one(id), 'flips', change, judged],
    queryFn: ({ pageParam, signal }) =>
      request<ListFlipsData, ListFlipsResponse>('GET', '/api/v1/backtests/{backtest_id}/flips', {
        path: { backtest_id: id },
        query: { change, cursor: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** All flips that are listed, for a file. */
export async function allFlips(id: string): Promise<ListFlipsResponse['items']> {
  const found: ListFlipsResponse['items'] = []
  let cursor: string | null = null
  do {
    const page: ListFlipsResponse = await request<ListFlipsData, ListFlipsResponse>(
      'GET',
      '/api/v1/backtests/{backtest_id}/flips',
      { path: { backtest_id: id }, query: { cursor, limit: 200 } },
    )
    found.push(...page.items)
    cursor = page.next_cursor
  } while (cursor !== null)
  return found
}

/** Starts a backtest that is shown in `project`: over it alone, or with `everywhere` over all projects. */
export function useStartBacktest(project: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: ({ everywhere = false, ...body }: Omit<NewBacktest, 'project'> & { everywhere?: boolean }) =>
      request<StartBacktestData, StartBacktestResponse>('POST', '/api/v1/backtests', {
        body: { ...body, project: everywhere ? null : project },
      }),
    onSuccess: (started) => {
      queryClient.setQueryData(backtestKeys.one(started.id), started)
      return queryClient.invalidateQueries({ queryKey: ['backtests', project] })
    },
  })
}

export function useCancelBacktest(project: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (id: string) =>
      request<CancelBacktestData, CancelBacktestResponse>('POST', '/api/v1/backtests/{backtest_id}/cancel', {
        path: { backtest_id: id },
      }),
    onSuccess: (changed) => {
      queryClient.setQueryData(backtestKeys.one(changed.id), changed)
      return queryClient.invalidateQueries({ queryKey: ['backtests', project] })
    },
  })
}
