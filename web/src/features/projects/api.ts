import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  CreateProjectData,
  CreateProjectResponse,
  ListProjectsData,
  ListProjectsResponse,
  NewProject,
} from '@/api/generated/types.gen'

export const projectsQuery = queryOptions({
  queryKey: ['projects'],
  queryFn: ({ signal }) =>
    request<ListProjectsData, ListProjectsResponse>('GET', '/api/v1/projects', {
      query: { limit: 200 },
      signal,
    }),
})

export function useCreateProject() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: NewProject) =>
      request<CreateProjectData, CreateProjectResponse>('POST', '/api/v1/projects', { body }),
    onSuccess: async () => {
      await Promise.all([
        queryClient.invalidateQueries({ queryKey: ['projects'] }),
        queryClient.invalidateQueries({ queryKey: ['me'] }),
      ])
    },
  })
}
