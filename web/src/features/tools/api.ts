import { queryOptions } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  GetToolData,
  GetToolResponse,
  ListToolsData,
  ListToolsResponse,
} from '@/api/generated/types.gen'

/** The tools of a project, at most 200. */
export const toolsQuery = (project: string) =>
  queryOptions({
    queryKey: ['tools', project],
    queryFn: ({ signal }) =>
      request<ListToolsData, ListToolsResponse>('GET', '/api/v1/tools', {
        query: { project, limit: 200 },
        signal,
      }),
  })

export const toolQuery = (id: string) =>
  queryOptions({
    queryKey: ['tool', id],
    queryFn: ({ signal }) =>
      request<GetToolData, GetToolResponse>('GET', '/api/v1/tools/{tool_id}', {
        path: { tool_id: id },
        signal,
      }),
  })
