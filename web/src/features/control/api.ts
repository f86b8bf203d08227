import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  GetProjectData,
  GetProjectResponse,
  ListHaltsData,
  ListHaltsResponse,
  NewHalt,
  OrderHaltData,
  OrderHaltResponse,
  ReleaseHaltData,
  ReleaseHaltResponse,
  UpdateProjectData,
  UpdateProjectResponse,
  UpdateWorkflowData,
  UpdateWorkflowResponse,
} from '@/api/generated/types.gen'

const SHOWN = 100

export const controlKeys = {
  /** A halt of the installation is one of every project. */
  halts: ['halts'] as const,
  haltsOf: (project: string) => ['halts', project] as const,
  project: (project: string) => ['project', project] as const,
}

const fetchHalts = (project: string, in_force: boolean, signal: AbortSignal) =>
  request<ListHaltsData, ListHaltsResponse>('GET', '/api/v1/halts', {
    query: { project, in_force, limit: SHOWN },
    signal,
  })

/** What holds work back now: in the project, in its workflows and in the installation. */
export const haltsQuery = (project: string) =>
  queryOptions({
    queryKey: [...controlKeys.haltsOf(project), 'in-force'],
    queryFn: ({ signal }) => fetchHalts(project, true, signal),
  })

/** What held work back and was released, the newest first. */
export const releasedQuery = (project: string) =>
  queryOptions({
    queryKey: [...controlKeys.haltsOf(project), 'released'],
    queryFn: ({ signal }) => fetchHalts(project, false, signal),
  })

/** Halts change what runs say of themselves, too. */
function useHalted() {
  const queryClient = useQueryClient()
  return () =>
    Promise.all(
      [controlKeys.halts, ['run'], ['runs']].map((queryKey) => queryClient.invalidateQueries({ queryKey })),
    )
}

export function useOrderHalt() {
  const halted = useHalted()
  return useMutation({
    mutationFn: (body: NewHalt) =>
      request<OrderHaltData, OrderHaltResponse>('POST', '/api/v1/halts', { body }),
    onSuccess: halted,
  })
}

export function useReleaseHalt() {
  const halted = useHalted()
  return useMutation({
    mutationFn: (id: string) =>
      request<ReleaseHaltData, ReleaseHaltResponse>('POST', '/api/v1/halts/{halt_id}/release', {
        path: { halt_id: id },
      }),
    onSuccess: halted,
  })
}

export const projectQuery = (project: string) =>
  queryOptions({
    queryKey: controlKeys.project(project),
    queryFn: ({ signal }) =>
      request<GetProjectData, GetProjectResponse>('GET', '/api/v1/projects/{slug}', {
        path: { slug: project },
        signal,
      }),
  })

/** Sets how many runs of a project go on at once; null: any number. */
export function useLimitProject(project: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (limit: number | null) =>
      request<UpdateProjectData, UpdateProjectResponse>('PATCH', '/api/v1/projects/{slug}', {
        path: { slug: project },
        body: { max_running_runs: limit },
      }),
    onSuccess: (changed) => queryClient.setQueryData(controlKeys.project(project), changed),
  })
}

/** Sets how many runs of a workflow go on at once; null: any number. */
export function useLimitWorkflow(id: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (limit: number | null) =>
      request<UpdateWorkflowData, UpdateWorkflowResponse>('PATCH', '/api/v1/workflows/{workflow_id}', {
        path: { workflow_id: id },
        body: { max_running_runs: limit },
      }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['workflow', id] }),
  })
}
