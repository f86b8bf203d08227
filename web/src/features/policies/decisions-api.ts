import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  AnswerViolation,
  AnswerViolationData,
  AnswerViolationResponse,
  GetDecisionData,
  GetDecisionResponse,
  GetViolationData,
  GetViolationResponse,
  JudgeDecisionTodayData,
  JudgeDecisionTodayResponse,
  ListDecisionsData,
  ListDecisionsResponse,
  ListViolationsData,
  ListViolationsResponse,
  RuleEffect,
  Severity,
  Subject,
  ViolationStatus,
} from '@/api/generated/types.gen'

export type DecisionFilters = {
  outcome: readonly RuleEffect[]
  subject: Subject | null
  name: string
  rule: string
  monitored: boolean
  policy: string
  run: string
  since: string
  until: string
}
/** What the list is about, whatever people filter it by. */
export type DecisionScope = { project: string; policy?: string; run?: string }

/** Recorded decisions, the newest first, page by page. An empty filter is none, and the scope outweighs filters. */
export const decisionsQuery = (scope: DecisionScope, filters: DecisionFilters) =>
  infiniteQueryOptions({
    queryKey: ['decisions', scope, filters],
    queryFn: ({ pageParam, signal }) =>
      request<ListDecisionsData, ListDecisionsResponse>('GET', '/api/v1/decisions', {
        query: {
          ...filters,
          outcome: [...filters.outcome],
          monitored: filters.monitored || null,
          ...scope,
          cursor: pageParam,
        },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** One decision, which never changes. */
export const decisionQuery = (id: string) =>
  queryOptions({
    queryKey: ['decision', id],
    queryFn: ({ signal }) =>
      request<GetDecisionData, GetDecisionResponse>('GET', '/api/v1/decisions/{decision_id}', {
        path: { decision_id: id },
        signal,
      }),
    staleTime: Number.POSITIVE_INFINITY,
  })

/** What the rules of today say to it. */
export const todayQuery = (id: string) =>
  queryOptions({
    queryKey: ['decision', id, 'today'],
    queryFn: ({ signal }) =>
      request<JudgeDecisionTodayData, JudgeDecisionTodayResponse>(
        'GET',
        '/api/v1/decisions/{decision_id}/today',
        { path: { decision_id: id }, signal },
      ),
  })

export type ViolationFilters = {
  status: readonly ViolationStatus[]
  severity: readonly Severity[]
  overdue?: boolean
}

export const violationKeys = {
  of: (project: string) => ['violations', project] as const,
  one: (id: string) => ['violation', id] as const,
}

export const violationsQuery = (project: string, filters: ViolationFilters, run?: string) =>
  infiniteQueryOptions({
    queryKey: [...violationKeys.of(project), filters, run],
    queryFn: ({ pageParam, signal }) =>
      request<ListViolationsData, ListViolationsResponse>('GET', '/api/v1/violations', {
        query: {
          project,
          run,
          status: [...filters.status],
          severity: [...filters.severity],
          overdue: filters.overdue ? true : undefined,
          cursor: pageParam,
        },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

export const violationQuery = (id: string) =>
  queryOptions({
    queryKey: violationKeys.one(id),
    queryFn: ({ signal }) =>
      request<GetViolationData, GetViolationResponse>('GET', '/api/v1/violations/{violation_id}', {
        path: { violation_id: id },
        signal,
      }),
  })

/** Says something about a violation, or sets where it stands. */
export function useAnswerViolation(project: string, id: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: AnswerViolation) =>
      request<AnswerViolationData, AnswerViolationResponse>(
        'POST',
        '/api/v1/violations/{violation_id}/notes',
        {
          path: { violation_id: id },
          body,
        },
      ),
    onSuccess: (answered) => {
      queryClient.setQueryData(violationKeys.one(id), answered)
      return queryClient.invalidateQueries({ queryKey: violationKeys.of(project) })
    },
  })
}
