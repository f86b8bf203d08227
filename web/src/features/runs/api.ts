import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request, requestBlob } from '@/api/client'
import type {
  CancelRunData,
  CancelRunResponse,
  CreateRunData,
  CreateRunResponse,
  GetArtifactContentData,
  GetRunData,
  GetRunResponse,
  GetStepData,
  GetStepResponse,
  ListArtifactsData,
  ListArtifactsResponse,
  ListRunsData,
  ListRunsResponse,
  ListStepsData,
  ListStepsResponse,
  NewRun,
  PauseRunData,
  PauseRunResponse,
  ResumeRunData,
  ResumeRunResponse,
  RunStatus,
  Step,
} from '@/api/generated/types.gen'
import { runKeys } from './keys'

export type RunFilters = { status: RunStatus[]; workflow: string; q: string }

/** The runs of a project, newest first, page by page. */
export const runsQuery = (project: string, filters: RunFilters) =>
  infiniteQueryOptions({
    queryKey: [...runKeys.listsOf(project), filters],
    queryFn: ({ pageParam, signal }) =>
      request<ListRunsData, ListRunsResponse>('GET', '/api/v1/runs', {
        query: { project, ...filters, cursor: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

export const runQuery = (runId: string) =>
  queryOptions({
    queryKey: runKeys.run(runId),
    queryFn: ({ signal }) =>
      request<GetRunData, GetRunResponse>('GET', '/api/v1/runs/{run_id}', {
        path: { run_id: runId },
        signal,
      }),
  })

/** The steps of a run in the order of the workflow, without those in bodies of maps and loops. */
export const stepsQuery = (runId: string) =>
  queryOptions({
    queryKey: runKeys.steps(runId),
    queryFn: async ({ signal }) => {
      const steps: Step[] = []
      let cursor: string | null = null
      do {
        const page: ListStepsResponse = await request<ListStepsData, ListStepsResponse>(
          'GET',
          '/api/v1/runs/{run_id}/steps',
          { path: { run_id: runId }, query: { cursor, bodies: false }, signal },
        )
        steps.push(...page.items)
        cursor = page.next_cursor
      } while (cursor !== null)
      return steps
    },
  })

export const stepQuery = (runId: string, stepId: string) =>
  queryOptions({
    queryKey: runKeys.step(runId, stepId),
    queryFn: ({ signal }) =>
      request<GetStepData, GetStepResponse>('GET', '/api/v1/runs/{run_id}/steps/{step_id}', {
        path: { run_id: runId, step_id: stepId },
        signal,
      }),
  })

export const artifactsQuery = (runId: string) =>
  queryOptions({
    queryKey: runKeys.artifacts(runId),
    queryFn: ({ signal }) =>
      request<ListArtifactsData, ListArtifactsResponse>('GET', '/api/v1/runs/{run_id}/artifacts', {
        path: { run_id: runId },
        query: { limit: 200 },
        signal,
      }),
  })

export const fetchArtifact = (artifactId: string, signal?: AbortSignal): Promise<Blob> =>
  requestBlob<GetArtifactContentData>('/api/v1/artifacts/{artifact_id}/content', {
    path: { artifact_id: artifactId },
    signal,
  })

/** Starts a run. The key makes a second try with the same request harmless. */
export function useStartRun() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: ({ run, key }: { run: NewRun; key: string }) =>
      request<CreateRunData, CreateRunResponse>('POST', '/api/v1/runs', {
        body: run,
        headers: { 'idempotency-key': key },
      }),
    onSuccess: (run) => {
      queryClient.setQueryData(runKeys.run(run.id), run)
      return queryClient.invalidateQueries({ queryKey: runKeys.listsOf(run.project) })
    },
  })
}

/** The newest runs that were made from this one. */
export const madeFromQuery = (project: string, runId: string) =>
  queryOptions({
    queryKey: [...runKeys.listsOf(project), 'made-from', runId],
    queryFn: ({ signal }) =>
      request<ListRunsData, ListRunsResponse>('GET', '/api/v1/runs', {
        query: { project, source: runId, limit: 20 },
        signal,
      }),
  })

/** Lets nothing more of a run start, or lets it go on. */
export function useHoldRun(runId: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (act: 'pause' | 'resume') =>
      act === 'pause'
        ? request<PauseRunData, PauseRunResponse>('POST', '/api/v1/runs/{run_id}/pause', {
            path: { run_id: runId },
          })
        : request<ResumeRunData, ResumeRunResponse>('POST', '/api/v1/runs/{run_id}/resume', {
            path: { run_id: runId },
          }),
    onSuccess: (run) => {
      queryClient.setQueryData(runKeys.run(runId), run)
      return queryClient.invalidateQueries({ queryKey: runKeys.run(runId) })
    },
  })
}

export function useCancelRun(runId: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: () =>
      request<CancelRunData, CancelRunResponse>('POST', '/api/v1/runs/{run_id}/cancel', {
        path: { run_id: runId },
      }),
    onSuccess: (run) => {
      queryClient.setQueryData(runKeys.run(runId), run)
      return queryClient.invalidateQueries({ queryKey: runKeys.run(runId) })
    },
  })
}
