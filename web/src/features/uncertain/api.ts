import { infiniteQueryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  ListUncertainData,
  ListUncertainResponse,
  Resolve,
  ResolveStepData,
  ResolveStepResponse,
  UncertainStep,
} from '@/api/generated/types.gen'
import { runKeys } from '@/features/runs/keys'

export const uncertainKeys = { of: (project: string) => ['uncertain', project] as const }

/** The steps of a project of which nobody knows whether an effect happened, page by page. */
export const uncertainQuery = (project: string) =>
  infiniteQueryOptions({
    queryKey: uncertainKeys.of(project),
    queryFn: ({ pageParam, signal }) =>
      request<ListUncertainData, ListUncertainResponse>('GET', '/api/v1/uncertain', {
        query: { project, cursor: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** Puts on record what a person found out. */
export function useResolve(step: Pick<UncertainStep, 'id' | 'run_id' | 'project'>) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: Resolve) =>
      request<ResolveStepData, ResolveStepResponse>('POST', '/api/v1/runs/{run_id}/steps/{step_id}/resolve', {
        path: { run_id: step.run_id, step_id: step.id },
        body,
      }),
    onSettled: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: uncertainKeys.of(step.project) }),
        queryClient.invalidateQueries({ queryKey: runKeys.run(step.run_id) }),
        queryClient.invalidateQueries({ queryKey: runKeys.listsOf(step.project) }),
      ]),
  })
}
