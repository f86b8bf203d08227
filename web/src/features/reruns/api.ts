import { keepPreviousData, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  Fork,
  ForkRunData,
  ForkRunResponse,
  PlanQuestion as PlanBody,
  PlanRerunWithInputData,
  PlanRerunWithInputResponse,
  Rerun,
  RerunData,
  RerunResponse,
  Retry,
  RetryRunData,
  RetryRunResponse,
} from '@/api/generated/types.gen'
import { runKeys } from '@/features/runs/keys'

export type PlanQuestion = {
  kind: 'retry' | 'fork' | 'rerun'
  /** The step of a fork. */
  from: string | null
  /** null: that of the run. */
  version: number | null
  keepCalls: boolean
}

/**
 * What a new run made from this one would keep and do again. Nothing happens yet.
 * `input` as JSON text, where it is another than that of the run; null: it is the same.
 */
export const planQuery = (
  runId: string,
  { kind, from, version, keepCalls }: PlanQuestion,
  input: string | null,
) =>
  queryOptions({
    queryKey: ['rerun-plan', runId, kind, from, version, keepCalls, input],
    queryFn: ({ signal }) => {
      const body: PlanBody = { kind, from, version, keep_calls: keepCalls }
      return request<PlanRerunWithInputData, PlanRerunWithInputResponse>(
        'POST',
        '/api/v1/runs/{run_id}/rerun-plan',
        {
          path: { run_id: runId },
          body: input === null ? body : { ...body, input: JSON.parse(input) },
          signal,
        },
      )
    },
    gcTime: 0,
    // While the question changes, the last answer stays: the page must not jump with every letter.
    placeholderData: keepPreviousData,
  })

export type Order =
  | { kind: 'retry'; body: Retry }
  | { kind: 'fork'; body: Fork }
  | { kind: 'rerun'; body: Rerun }

/** Starts the new run. The key makes a second try with the same order harmless. */
export function useStartAgain(runId: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: ({ order, key }: { order: Order; key: string }) => send(runId, order, key),
    onSuccess: (run) => {
      queryClient.setQueryData(runKeys.run(run.id), run)
      return queryClient.invalidateQueries({ queryKey: runKeys.listsOf(run.project) })
    },
  })
}

function send(runId: string, order: Order, key: string) {
  const path = { run_id: runId }
  const headers = { 'idempotency-key': key }
  switch (order.kind) {
    case 'retry':
      return request<RetryRunData, RetryRunResponse>('POST', '/api/v1/runs/{run_id}/retry', {
        path,
        body: order.body,
        headers,
      })
    case 'fork':
      return request<ForkRunData, ForkRunResponse>('POST', '/api/v1/runs/{run_id}/fork', {
        path,
        body: order.body,
        headers,
      })
    case 'rerun':
      return request<RerunData, RerunResponse>('POST', '/api/v1/runs/{run_id}/rerun', {
        path,
        body: order.body,
        headers,
      })
  }
}
