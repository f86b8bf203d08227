import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  ArchiveSecretData,
  ArchiveSecretResponse,
  CreateSecretData,
  CreateSecretResponse,
  CreateSecretVersionData,
  CreateSecretVersionResponse,
  GetSecretData,
  GetSecretResponse,
  ListSecretsData,
  ListSecretsResponse,
  ListSecretUsesData,
  ListSecretUsesResponse,
  ListSecretVersionsData,
  ListSecretVersionsResponse,
  NewSecretWritable,
  RestoreSecretData,
  RestoreSecretResponse,
} from '@/api/generated/types.gen'

const KEY = ['secrets'] as const

/** The secrets of a project, by name and version: what they hold is never sent to a page. */
export const secretsQuery = (project: string, archived: boolean) =>
  infiniteQueryOptions({
    queryKey: [...KEY, 'list', project, archived],
    queryFn: ({ pageParam, signal }) =>
      request<ListSecretsData, ListSecretsResponse>('GET', '/api/v1/secrets', {
        query: { project, archived, cursor: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** One secret, with the workflows that refer to it. */
export const secretQuery = (id: string) =>
  queryOptions({
    queryKey: [...KEY, id],
    queryFn: ({ signal }) =>
      request<GetSecretData, GetSecretResponse>('GET', '/api/v1/secrets/{secret_id}', {
        path: { secret_id: id },
        signal,
      }),
  })

export const versionsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: [...KEY, id, 'versions'],
    queryFn: ({ pageParam, signal }) =>
      request<ListSecretVersionsData, ListSecretVersionsResponse>(
        'GET',
        '/api/v1/secrets/{secret_id}/versions',
        { path: { secret_id: id }, query: { cursor: pageParam }, signal },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** Which calls were given the secret, the latest first. */
export const usesQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: [...KEY, id, 'uses'],
    queryFn: ({ pageParam, signal }) =>
      request<ListSecretUsesData, ListSecretUsesResponse>('GET', '/api/v1/secrets/{secret_id}/uses', {
        path: { secret_id: id },
        query: { cursor: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

function useChanged() {
  const queryClient = useQueryClient()
  return () => queryClient.invalidateQueries({ queryKey: KEY })
}

// A mutation keeps what it was given for as long as it is kept itself: not at all, where that is a secret.
const FORGET = { gcTime: 0 } as const

export function useCreateSecret() {
  const changed = useChanged()
  return useMutation({
    ...FORGET,
    mutationFn: (body: NewSecretWritable) =>
      request<CreateSecretData, CreateSecretResponse>('POST', '/api/v1/secrets', { body }),
    onSuccess: changed,
  })
}

export function useNewVersion(id: string) {
  const changed = useChanged()
  return useMutation({
    ...FORGET,
    mutationFn: (value: string) =>
      request<CreateSecretVersionData, CreateSecretVersionResponse>(
        'POST',
        '/api/v1/secrets/{secret_id}/versions',
        { path: { secret_id: id }, body: { value } },
      ),
    onSuccess: changed,
  })
}

export function useArchiveSecret(id: string) {
  const changed = useChanged()
  return useMutation({
    mutationFn: () =>
      request<ArchiveSecretData, ArchiveSecretResponse>('POST', '/api/v1/secrets/{secret_id}/archive', {
        path: { secret_id: id },
      }),
    onSuccess: changed,
  })
}

export function useRestoreSecret(id: string) {
  const changed = useChanged()
  return useMutation({
    mutationFn: () =>
      request<RestoreSecretData, RestoreSecretResponse>('POST', '/api/v1/secrets/{secret_id}/restore', {
        path: { secret_id: id },
      }),
    onSuccess: changed,
  })
}
