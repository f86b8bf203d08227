import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  ArchiveBudgetData,
  ArchiveBudgetResponse,
  BudgetTerms,
  ChangeBudgetData,
  ChangeBudgetResponse,
  DefineBudgetData,
  DefineBudgetResponse,
  GetBudgetCourseData,
  GetBudgetCourseResponse,
  GetBudgetData,
  GetBudgetResponse,
  GetRunCostsData,
  GetRunCostsResponse,
  ListBudgetNoticesData,
  ListBudgetNoticesResponse,
  ListBudgetsData,
  ListBudgetsResponse,
  ListBudgetWindowsData,
  ListBudgetWindowsResponse,
  NewBudgetBody,
} from '@/api/generated/types.gen'

const KEY = ['budgets'] as const

/** The budgets of a project, and those of the installation that hold for it. */
export const budgetsQuery = (project: string, archived: boolean) =>
  infiniteQueryOptions({
    queryKey: [...KEY, 'list', project, archived],
    queryFn: ({ pageParam, signal }) =>
      request<ListBudgetsData, ListBudgetsResponse>('GET', '/api/v1/budgets', {
        query: { project, archived, cursor: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

export const budgetQuery = (id: string) =>
  queryOptions({
    queryKey: [...KEY, id],
    queryFn: ({ signal }) =>
      request<GetBudgetData, GetBudgetResponse>('GET', '/api/v1/budgets/{budget_id}', {
        path: { budget_id: id },
        signal,
      }),
  })

/** The periods of a budget, of each member, the newest first. */
export const windowsQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: [...KEY, id, 'windows'],
    queryFn: ({ pageParam, signal }) =>
      request<ListBudgetWindowsData, ListBudgetWindowsResponse>(
        'GET',
        '/api/v1/budgets/{budget_id}/windows',
        {
          path: { budget_id: id },
          query: { cursor: pageParam },
          signal,
        },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** How the spending of one period went. */
export const courseQuery = (id: string, windowId: string) =>
  queryOptions({
    queryKey: [...KEY, id, 'windows', windowId],
    queryFn: ({ signal }) =>
      request<GetBudgetCourseData, GetBudgetCourseResponse>(
        'GET',
        '/api/v1/budgets/{budget_id}/windows/{window_id}',
        { path: { budget_id: id, window_id: windowId }, signal },
      ),
  })

/** Which thresholds were reached, the latest first. */
export const noticesQuery = (id: string) =>
  infiniteQueryOptions({
    queryKey: [...KEY, id, 'notices'],
    queryFn: ({ pageParam, signal }) =>
      request<ListBudgetNoticesData, ListBudgetNoticesResponse>(
        'GET',
        '/api/v1/budgets/{budget_id}/notices',
        {
          path: { budget_id: id },
          query: { cursor: pageParam },
          signal,
        },
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

export const costsQuery = (runId: string) =>
  queryOptions({
    queryKey: ['run', runId, 'costs'],
    queryFn: ({ signal }) =>
      request<GetRunCostsData, GetRunCostsResponse>('GET', '/api/v1/runs/{run_id}/costs', {
        path: { run_id: runId },
        signal,
      }),
  })

/** A budget that changes lets runs go on, too. */
function useChanged() {
  const queryClient = useQueryClient()
  return () =>
    Promise.all([KEY, ['run'], ['runs']].map((queryKey) => queryClient.invalidateQueries({ queryKey })))
}

export function useDefineBudget() {
  const changed = useChanged()
  return useMutation({
    mutationFn: (body: NewBudgetBody) =>
      request<DefineBudgetData, DefineBudgetResponse>('POST', '/api/v1/budgets', { body }),
    onSuccess: changed,
  })
}

export function useChangeBudget(id: string) {
  const changed = useChanged()
  return useMutation({
    mutationFn: (body: BudgetTerms) =>
      request<ChangeBudgetData, ChangeBudgetResponse>('PUT', '/api/v1/budgets/{budget_id}', {
        path: { budget_id: id },
        body,
      }),
    onSuccess: changed,
  })
}

export function useArchiveBudget(id: string) {
  const changed = useChanged()
  return useMutation({
    mutationFn: () =>
      request<ArchiveBudgetData, ArchiveBudgetResponse>('POST', '/api/v1/budgets/{budget_id}/archive', {
        path: { budget_id: id },
      }),
    onSuccess: changed,
  })
}
