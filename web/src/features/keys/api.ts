import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  ChangeServiceAccountData,
  ChangeServiceAccountResponse,
  CreateAccountKeyData,
  CreateAccountKeyResponse,
  CreateApiKeyData,
  CreateApiKeyResponse,
  CreateServiceAccountData,
  CreateServiceAccountResponse,
  ListAccountKeysData,
  ListAccountKeysResponse,
  ListApiKeysData,
  ListApiKeysResponse,
  ListKeyScopesData,
  ListKeyScopesResponse,
  ListServiceAccountsData,
  ListServiceAccountsResponse,
  NewAccountKey,
  NewApiKey,
  NewServiceAccount,
  RevokeAccountKeyData,
  RevokeAccountKeyResponse,
  RevokeApiKeyData,
  RevokeApiKeyResponse,
  ServiceAccountChange,
} from '@/api/generated/types.gen'

const KEYS = ['keys'] as const
const ACCOUNTS = ['service-accounts'] as const

/** The caller's own keys, newest first. */
export const ownKeysQuery = infiniteQueryOptions({
  queryKey: [...KEYS, 'own'],
  queryFn: ({ pageParam, signal }) =>
    request<ListApiKeysData, ListApiKeysResponse>('GET', '/api/v1/api-keys', {
      query: { cursor: pageParam },
      signal,
    }),
  initialPageParam: null as string | null,
  getNextPageParam: (page) => page.next_cursor,
})

/** The keys of a service account, newest first. */
export const accountKeysQuery = (project: string, account: string) =>
  infiniteQueryOptions({
    queryKey: [...KEYS, project, account],
    queryFn: ({ pageParam, signal }) =>
      request<ListAccountKeysData, ListAccountKeysResponse>(
        'GET',
        '/api/v1/projects/{slug}/service-accounts/{account_id}/keys',
        { path: { slug: project, account_id: account }, query: { cursor: pageParam }, signal },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** What keys can be given. It changes with the program only. */
export const scopesQuery = queryOptions({
  queryKey: ['key-scopes'],
  queryFn: ({ signal }) =>
    request<ListKeyScopesData, ListKeyScopesResponse>('GET', '/api/v1/api-keys/scopes', { signal }),
  staleTime: Number.POSITIVE_INFINITY,
})

/** The service accounts of a project: it has at most a hundred. */
export const accountsQuery = (project: string) =>
  queryOptions({
    queryKey: [...ACCOUNTS, project],
    queryFn: ({ signal }) =>
      request<ListServiceAccountsData, ListServiceAccountsResponse>(
        'GET',
        '/api/v1/projects/{slug}/service-accounts',
        { path: { slug: project }, query: { limit: 200 }, signal },
      ),
  })

export function useCreateKey() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: NewApiKey) =>
      request<CreateApiKeyData, CreateApiKeyResponse>('POST', '/api/v1/api-keys', { body }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: KEYS }),
  })
}

export function useRevokeKey() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (id: string) =>
      request<RevokeApiKeyData, RevokeApiKeyResponse>('POST', '/api/v1/api-keys/{key_id}/revoke', {
        path: { key_id: id },
      }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: KEYS }),
  })
}

export function useCreateAccountKey(project: string, account: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: NewAccountKey) =>
      request<CreateAccountKeyData, CreateAccountKeyResponse>(
        'POST',
        '/api/v1/projects/{slug}/service-accounts/{account_id}/keys',
        { path: { slug: project, account_id: account }, body },
      ),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: KEYS }),
  })
}

export function useRevokeAccountKey(project: string, account: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (id: string) =>
      request<RevokeAccountKeyData, RevokeAccountKeyResponse>(
        'POST',
        '/api/v1/projects/{slug}/service-accounts/{account_id}/keys/{key_id}/revoke',
        { path: { slug: project, account_id: account, key_id: id } },
      ),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: KEYS }),
  })
}

export function useCreateAccount(project: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: NewServiceAccount) =>
      request<CreateServiceAccountData, CreateServiceAccountResponse>(
        'POST',
        '/api/v1/projects/{slug}/service-accounts',
        { path: { slug: project }, body },
      ),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ACCOUNTS }),
  })
}

export function useChangeAccount(project: string, account: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: ServiceAccountChange) =>
      request<ChangeServiceAccountData, ChangeServiceAccountResponse>(
        'PATCH',
        '/api/v1/projects/{slug}/service-accounts/{account_id}',
        { path: { slug: project, account_id: account }, body },
      ),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ACCOUNTS }),
  })
}
