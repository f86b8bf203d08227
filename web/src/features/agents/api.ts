import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  AgentVersion,
  CreateAgentData,
  CreateAgentResponse,
  CreateAgentVersionData,
  CreateAgentVersionResponse,
  GetAgentData,
  GetAgentResponse,
  ListAgentsData,
  ListAgentsResponse,
  ListAgentVersionsData,
  ListAgentVersionsResponse,
} from '@/api/generated/types.gen'

export type AgentDefinition = AgentVersion['definition']

const agentKeys = {
  listsOf: (project: string) => ['agents', project] as const,
  agent: (id: string) => ['agent', id] as const,
}

/** The agents of a project, at most 200. */
export const agentsQuery = (project: string) =>
  queryOptions({
    queryKey: agentKeys.listsOf(project),
    queryFn: ({ signal }) =>
      request<ListAgentsData, ListAgentsResponse>('GET', '/api/v1/agents', {
        query: { project, limit: 200 },
        signal,
      }),
  })

export const agentQuery = (id: string) =>
  queryOptions({
    queryKey: agentKeys.agent(id),
    queryFn: ({ signal }) =>
      request<GetAgentData, GetAgentResponse>('GET', '/api/v1/agents/{agent_id}', {
        path: { agent_id: id },
        signal,
      }),
  })

/** The versions of an agent with their definitions, newest first, page by page. */
export const agentVersionsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: [...agentKeys.agent(id), 'versions'],
    queryFn: ({ pageParam, signal }) =>
      request<ListAgentVersionsData, ListAgentVersionsResponse>('GET', '/api/v1/agents/{agent_id}/versions', {
        path: { agent_id: id },
        query: { cursor: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

export type NewAgentText = { name: string; definition: AgentDefinition; text: string }

export function useCreateAgent(project: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: ({ name, definition }: NewAgentText) =>
      request<CreateAgentData, CreateAgentResponse>('POST', '/api/v1/agents', {
        body: { project, name, definition },
      }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: agentKeys.listsOf(project) }),
  })
}

/** Saves a definition as the next version; one that is the latest already stays what it is. */
export function useSaveAgentVersion(project: string, id: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: ({ definition }: { definition: AgentDefinition; text: string }) =>
      request<CreateAgentVersionData, CreateAgentVersionResponse>(
        'POST',
        '/api/v1/agents/{agent_id}/versions',
        {
          path: { agent_id: id },
          body: { definition },
        },
      ),
    onSuccess: () =>
      Promise.all([
        queryClient.invalidateQueries({ queryKey: agentKeys.agent(id) }),
        queryClient.invalidateQueries({ queryKey: agentKeys.listsOf(project) }),
      ]),
  })
}
