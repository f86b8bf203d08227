import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  CreatePolicyData,
  CreatePolicyResponse,
  CreatePolicyVersionData,
  CreatePolicyVersionResponse,
  GetPolicyDocumentData,
  GetPolicyDocumentResponse,
  GetPolicyFactsData,
  GetPolicyFactsResponse,
  GetPolicyVersionData,
  GetPolicyVersionResponse,
  ListPoliciesData,
  ListPoliciesResponse,
  ListPolicyVersionsData,
  ListPolicyVersionsResponse,
  ListPublicationsData,
  ListPublicationsResponse,
  Publish,
  PublishPolicyData,
  PublishPolicyResponse,
  ValidatePolicyData,
  ValidatePolicyResponse,
  WithdrawPolicyData,
  WithdrawPolicyResponse,
} from '@/api/generated/types.gen'

export const policyKeys = {
  listsOf: (project: string) => ['policies', project] as const,
  policy: (id: string) => ['policy', id] as const,
}

/** The policies that judge what happens in a project, at most 200. */
export const policiesQuery = (project: string) =>
  queryOptions({
    queryKey: policyKeys.listsOf(project),
    queryFn: ({ signal }) =>
      request<ListPoliciesData, ListPoliciesResponse>('GET', '/api/v1/policies', {
        query: { project, limit: 200 },
        signal,
      }),
  })

export const policyQuery = (id: string) =>
  queryOptions({
    queryKey: policyKeys.policy(id),
    queryFn: ({ signal }) =>
      request<GetPolicyDocumentData, GetPolicyDocumentResponse>('GET', '/api/v1/policies/{policy_id}', {
        path: { policy_id: id },
        signal,
      }),
  })

/** What conditions may ask for; it changes with the release only. */
export const factsQuery = queryOptions({
  queryKey: ['policy-facts'],
  queryFn: ({ signal }) =>
    request<GetPolicyFactsData, GetPolicyFactsResponse>('GET', '/api/v1/schemas/policy-facts', { signal }),
  staleTime: Number.POSITIVE_INFINITY,
})

/** What the server says to a text: its mistakes, or its tests. While a new text is checked, the old answer stays. */
export const checkQuery = (project: string | null, source: string) =>
  queryOptions({
    queryKey: ['policy-check', project, source],
    queryFn: ({ signal }) =>
      request<ValidatePolicyData, ValidatePolicyResponse>('POST', '/api/v1/policies/validate', {
        body: { project, source },
        signal,
      }),
    placeholderData: keepPreviousData,
    gcTime: 30_000,
  })

export const versionsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: [...policyKeys.policy(id), 'versions'],
    queryFn: ({ pageParam, signal }) =>
      request<ListPolicyVersionsData, ListPolicyVersionsResponse>(
        'GET',
        '/api/v1/policies/{policy_id}/versions',
        {
          path: { policy_id: id },
          query: { cursor: pageParam },
          signal,
        },
      ),
    initialPageParam: null as number | null,
    getNextPageParam: (page) => (page.next_cursor === null ? null : Number(page.next_cursor)),
  })

/** One version, which never changes. */
export const versionQuery = (id: string, version: number) =>
  queryOptions({
    queryKey: ['policy-version', id, version],
    queryFn: ({ signal }) =>
      request<GetPolicyVersionData, GetPolicyVersionResponse>(
        'GET',
        '/api/v1/policies/{policy_id}/versions/{version}',
        { path: { policy_id: id, version }, signal },
      ),
    staleTime: Number.POSITIVE_INFINITY,
  })

/** Who put which version in force, the newest hundred. */
export const publicationsQuery = (id: string) =>
  queryOptions({
    queryKey: [...policyKeys.policy(id), 'publications'],
    queryFn: ({ signal }) =>
      request<ListPublicationsData, ListPublicationsResponse>(
        'GET',
        '/api/v1/policies/{policy_id}/publications',
        {
          path: { policy_id: id },
          query: { limit: 100 },
          signal,
        },
      ),
  })

/** Saves a new policy; `scope` null: for the whole installation. */
export function useCreatePolicy(project: string, scope: string | null) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (source: string) =>
      request<CreatePolicyData, CreatePolicyResponse>('POST', '/api/v1/policies', {
        body: { project: scope, source },
      }),
    onSuccess: (saved) => {
      queryClient.setQueryData(policyKeys.policy(saved.policy.id), saved.policy)
      return queryClient.invalidateQueries({ queryKey: policyKeys.listsOf(project) })
    },
  })
}

/** Everything that a change of a policy shows in. */
function useChanged(project: string, id: string) {
  const queryClient = useQueryClient()
  return () =>
    Promise.all(
      [policyKeys.policy(id), policyKeys.listsOf(project)].map((queryKey) =>
        queryClient.invalidateQueries({ queryKey }),
      ),
    )
}

/** Saves a text as the next version; a text that is the latest already stays what it is. */
export function useSavePolicyVersion(project: string, id: string) {
  const changed = useChanged(project, id)
  return useMutation({
    mutationFn: (source: string) =>
      request<CreatePolicyVersionData, CreatePolicyVersionResponse>(
        'POST',
        '/api/v1/policies/{policy_id}/versions',
        { path: { policy_id: id }, body: { source } },
      ),
    onSuccess: changed,
  })
}

export function usePublish(project: string, id: string) {
  const changed = useChanged(project, id)
  return useMutation({
    mutationFn: (body: Publish) =>
      request<PublishPolicyData, PublishPolicyResponse>('POST', '/api/v1/policies/{policy_id}/publish', {
        path: { policy_id: id },
        body,
      }),
    onSuccess: changed,
  })
}

export function useWithdraw(project: string, id: string) {
  const changed = useChanged(project, id)
  return useMutation({
    mutationFn: (note: string | null) =>
      request<WithdrawPolicyData, WithdrawPolicyResponse>('POST', '/api/v1/policies/{policy_id}/withdraw', {
        path: { policy_id: id },
        body: { note },
      }),
    onSuccess: changed,
  })
}
