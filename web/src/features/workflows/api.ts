import { queryOptions } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  GetWorkflowData,
  GetWorkflowResponse,
  ListWorkflowsData,
  ListWorkflowsResponse,
} from '@/api/generated/types.gen'

export const workflowKeys = {
  listsOf: (project: string) => ['workflows', project] as const,
  workflow: (id: string) => ['workflow', id] as const,
}

/** The workflows of a project, at most 200. */
export const workflowsQuery = (project: string) =>
  queryOptions({
    queryKey: workflowKeys.listsOf(project),
    queryFn: ({ signal }) =>
      request<ListWorkflowsData, ListWorkflowsResponse>('GET', '/api/v1/workflows', {
        query: { project, limit: 200 },
        signal,
      }),
  })

/** One workflow with its latest version. */
export const workflowQuery = (id: string) =>
  queryOptions({
    queryKey: workflowKeys.workflow(id),
    queryFn: ({ signal }) =>
      request<GetWorkflowData, GetWorkflowResponse>('GET', '/api/v1/workflows/{workflow_id}', {
        path: { workflow_id: id },
        signal,
      }),
  })
