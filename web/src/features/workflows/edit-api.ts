import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  CreateWorkflowData,
  CreateWorkflowResponse,
  CreateWorkflowVersionData,
  CreateWorkflowVersionResponse,
  GetWorkflowVersionData,
  GetWorkflowVersionResponse,
  ListRunsData,
  ListRunsResponse,
  ListWorkflowVersionsData,
  ListWorkflowVersionsResponse,
  ValidateWorkflowData,
  ValidateWorkflowResponse,
} from '@/api/generated/types.gen'
import { workflowKeys } from './api'

/** What the server finds wrong with a text. While a new text is checked, the old findings stay. */
export const validationQuery = (project: string, source: string) =>
  queryOptions({
    queryKey: ['workflow-validation', project, source],
    queryFn: ({ signal }) =>
      request<ValidateWorkflowData, ValidateWorkflowResponse>('POST', '/api/v1/workflows/validate', {
        body: { project, source },
        signal,
      }),
    placeholderData: keepPreviousData,
    gcTime: 30_000,
  })

/** The versions of a workflow, newest first, page by page. */
export const versionsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: [...workflowKeys.workflow(id), 'versions'],
    queryFn: ({ pageParam, signal }) =>
      request<ListWorkflowVersionsData, ListWorkflowVersionsResponse>(
        'GET',
        '/api/v1/workflows/{workflow_id}/versions',
        {
          path: { workflow_id: id },
          query: { cursor: pageParam },
          signal,
        },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** One version, which never changes. */
export const versionQuery = (id: string, version: number) =>
  queryOptions({
    queryKey: ['workflow-version', id, version],
    queryFn: ({ signal }) =>
      request<GetWorkflowVersionData, GetWorkflowVersionResponse>(
        'GET',
        '/api/v1/workflows/{workflow_id}/versions/{version}',
        { path: { workflow_id: id, version }, signal },
      ),
    staleTime: Number.POSITIVE_INFINITY,
  })

/** The newest runs of a project, to show how its workflows have been doing. */
export const recentRunsQuery = (project: string) =>
  queryOptions({
    queryKey: ['runs', project, 'recent'],
    queryFn: ({ signal }) =>
      request<ListRunsData, ListRunsResponse>('GET', '/api/v1/runs', {
        query: { project, limit: 200 },
        signal,
      }),
  })

export function useCreateWorkflow(project: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (source: string) =>
      request<CreateWorkflowData, CreateWorkflowResponse>('POST', '/api/v1/workflows', {
        body: { project, source },
      }),
    onSuccess: (workflow) => {
      queryClient.setQueryData(workflowKeys.workflow(workflow.id), workflow)
      return queryClient.invalidateQueries({ queryKey: workflowKeys.listsOf(project) })
    },
  })
}

/** Saves a text as the next version; a text that is the latest already stays what it is. */
export function useSaveVersion(project: string, id: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (source: string) =>
      request<CreateWorkflowVersionData, CreateWorkflowVersionResponse>(
        'POST',
        '/api/v1/workflows/{workflow_id}/versions',
        { path: { workflow_id: id }, body: { source } },
      ),
    onSuccess: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: workflowKeys.workflow(id) }),
        queryClient.invalidateQueries({ queryKey: workflowKeys.listsOf(project) }),
      ]),
  })
}
