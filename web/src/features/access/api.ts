import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  AddMemberData,
  AddMemberResponse,
  ChangeMemberData,
  ChangeMemberResponse,
  GetPermissionsData,
  GetPermissionsResponse,
  ListMembersData,
  ListMembersResponse,
  ListUsersData,
  ListUsersResponse,
  NewMember,
  RemoveMemberData,
  RemoveMemberResponse,
  Role,
} from '@/api/generated/types.gen'

/** Who may do what. It changes with a new version of the server only. */
export const permissionsQuery = queryOptions({
  queryKey: ['permissions'],
  queryFn: ({ signal }) =>
    request<GetPermissionsData, GetPermissionsResponse>('GET', '/api/v1/permissions', { signal }),
  staleTime: Number.POSITIVE_INFINITY,
})

export const membersKey = (project: string) => ['members', project] as const

export const membersQuery = (project: string) =>
  queryOptions({
    queryKey: membersKey(project),
    queryFn: ({ signal }) =>
      request<ListMembersData, ListMembersResponse>('GET', '/api/v1/projects/{slug}/members', {
        path: { slug: project },
        signal,
      }),
  })

/** The people of the installation, the newest first; of whom a part of name or address is known. */
export const peopleQuery = (part: string) =>
  infiniteQueryOptions({
    queryKey: ['users', part],
    queryFn: ({ signal, pageParam }) =>
      request<ListUsersData, ListUsersResponse>('GET', '/api/v1/users', {
        query: { q: part, cursor: pageParam, limit: 100 },
        signal,
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  })

/** Who is what in a project has changed; it may be one's own role. */
function useChanged(project: string) {
  const queryClient = useQueryClient()
  return () =>
    Promise.all(
      [membersKey(project), ['me'], ['users']].map((queryKey) => queryClient.invalidateQueries({ queryKey })),
    )
}

export function useAddMember(project: string) {
  const changed = useChanged(project)
  return useMutation({
    mutationFn: (body: NewMember) =>
      request<AddMemberData, AddMemberResponse>('POST', '/api/v1/projects/{slug}/members', {
        path: { slug: project },
        body,
      }),
    onSuccess: changed,
  })
}

export function useChangeMember(project: string) {
  const changed = useChanged(project)
  return useMutation({
    mutationFn: ({ userId, role }: { userId: string; role: Role }) =>
      request<ChangeMemberData, ChangeMemberResponse>('PUT', '/api/v1/projects/{slug}/members/{user_id}', {
        path: { slug: project, user_id: userId },
        body: { role },
      }),
    onSuccess: changed,
  })
}

export function useRemoveMember(project: string) {
  const changed = useChanged(project)
  return useMutation({
    mutationFn: (userId: string) =>
      request<RemoveMemberData, RemoveMemberResponse>('DELETE', '/api/v1/projects/{slug}/members/{user_id}', {
        path: { slug: project, user_id: userId },
      }),
    onSuccess: changed,
  })
}
