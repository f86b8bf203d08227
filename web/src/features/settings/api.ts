import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  AskDeletionData,
  AskDeletionResponse,
  CancelDeletionData,
  CancelDeletionResponse,
  GetDeletionData,
  GetDeletionResponse,
  NewDeletion,
  ProjectSettings,
  UpdateProjectData,
  UpdateProjectResponse,
} from '@/api/generated/types.gen'
import { controlKeys } from '@/features/control/api'

const deletionKey = (project: string) => ['deletion', project] as const

/** Whether the project is to be deleted, and how long that could be taken back. */
export const deletionQuery = (project: string) =>
  queryOptions({
    queryKey: deletionKey(project),
    queryFn: ({ signal }) =>
      request<GetDeletionData, GetDeletionResponse>('GET', '/api/v1/projects/{slug}/deletion', {
        path: { slug: project },
        signal,
      }),
  })

/** A deletion stops the project, and taking it back releases the stop. */
function useChangedDeletion(project: string) {
  const queryClient = useQueryClient()
  return (changed: AskDeletionResponse) => {
    queryClient.setQueryData(deletionKey(project), changed)
    return queryClient.invalidateQueries({ queryKey: controlKeys.halts })
  }
}

export function useAskDeletion(project: string) {
  const changed = useChangedDeletion(project)
  return useMutation({
    mutationFn: (body: NewDeletion) =>
      request<AskDeletionData, AskDeletionResponse>('POST', '/api/v1/projects/{slug}/deletion', {
        path: { slug: project },
        body,
      }),
    onSuccess: changed,
  })
}

export function useCancelDeletion(project: string) {
  const changed = useChangedDeletion(project)
  return useMutation({
    mutationFn: () =>
      request<CancelDeletionData, CancelDeletionResponse>('POST', '/api/v1/projects/{slug}/deletion/cancel', {
        path: { slug: project },
      }),
    onSuccess: changed,
  })
}

/** Sets how long the project keeps what has ended; null: for ever. */
export function useKeep(project: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: ProjectSettings) =>
      request<UpdateProjectData, UpdateProjectResponse>('PATCH', '/api/v1/projects/{slug}', {
        path: { slug: project },
        body,
      }),
    onSuccess: (changed) => queryClient.setQueryData(controlKeys.project(project), changed),
  })
}
