import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { request, requestBlob } from '@/api/client'
import type {
  AuditChain,
  AuditLineDetail,
  AuditLineList,
  ExportAuditData,
  ExportInstallationAuditData,
  GetAuditChainData,
  GetAuditLineData,
  GetInstallationAuditChainData,
  GetInstallationAuditLineData,
  ListAuditActionsData,
  ListAuditActionsResponse,
  ListAuditData,
  ListInstallationAuditData,
  ListInstallationSecurityEventsData,
  ListSecurityEventsData,
  SecurityEventList,
} from '@/api/generated/types.gen'

/** Whose trail: that of the project, or (administrators) of the whole installation. */
export type AuditScope = { project: string; everywhere: boolean }

/** Which lines are wanted; an empty text: whatever. */
export type LineFilters = {
  action: string
  actor: string
  object: string
  request_id: string
  since: string
}

export type EventFilters = { kind: string; severity: '' | 'info' | 'warning' | 'critical' }

const given = <T extends Record<string, string>>(filters: T) =>
  Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== '')) as Partial<T>

function askLines(scope: AuditScope, filters: Partial<LineFilters>, more: object, signal: AbortSignal) {
  const query = { ...filters, ...more }
  return scope.everywhere
    ? request<ListInstallationAuditData, AuditLineList>('GET', '/api/v1/installation/audit', {
        query,
        signal,
      })
    : request<ListAuditData, AuditLineList>('GET', '/api/v1/audit', {
        query: { ...query, project: scope.project },
        signal,
      })
}

export const linesQuery = (scope: AuditScope, filters: LineFilters) =>
  infiniteQueryOptions({
    queryKey: ['audit', scope, filters],
    queryFn: ({ pageParam, signal }) =>
      askLines(scope, given(filters), { cursor: pageParam === null ? undefined : Number(pageParam) }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** The newest line alone, to notice that there are new ones. */
export const newestQuery = (scope: AuditScope, filters: LineFilters) =>
  queryOptions({
    queryKey: ['audit-newest', scope, filters],
    queryFn: ({ signal }) => askLines(scope, given(filters), { limit: 1 }, signal),
  })

export const lineQuery = (scope: AuditScope, number: number) =>
  queryOptions({
    queryKey: ['audit-line', scope, number],
    queryFn: ({ signal }) =>
      scope.everywhere
        ? request<GetInstallationAuditLineData, AuditLineDetail>(
            'GET',
            '/api/v1/installation/audit/lines/{number}',
            { path: { number }, signal },
          )
        : request<GetAuditLineData, AuditLineDetail>('GET', '/api/v1/audit/lines/{number}', {
            path: { number },
            query: { project: scope.project },
            signal,
          }),
  })

export const actionsQuery = queryOptions({
  queryKey: ['audit-actions'],
  queryFn: ({ signal }) =>
    request<ListAuditActionsData, ListAuditActionsResponse>('GET', '/api/v1/audit/actions', { signal }),
  staleTime: Number.POSITIVE_INFINITY,
})

export const chainQuery = (scope: AuditScope) =>
  queryOptions({
    queryKey: ['audit-chain', scope],
    queryFn: ({ signal }) =>
      scope.everywhere
        ? request<GetInstallationAuditChainData, AuditChain>('GET', '/api/v1/installation/audit/chain', {
            signal,
          })
        : request<GetAuditChainData, AuditChain>('GET', '/api/v1/audit/chain', {
            query: { project: scope.project },
            signal,
          }),
  })

export const eventsQuery = (scope: AuditScope, filters: EventFilters) =>
  infiniteQueryOptions({
    queryKey: ['security-events', scope, filters],
    queryFn: ({ pageParam, signal }): Promise<SecurityEventList> => {
      const cursor = pageParam === null ? undefined : Number(pageParam)
      const query = { kind: filters.kind || undefined, severity: filters.severity || undefined, cursor }
      return scope.everywhere
        ? request<ListInstallationSecurityEventsData, SecurityEventList>(
            'GET',
            '/api/v1/installation/security-events',
            { query, signal },
          )
        : request<ListSecurityEventsData, SecurityEventList>('GET', '/api/v1/audit/security-events', {
            query: { ...query, project: scope.project },
            signal,
          })
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  })

/** The lines as a file, with what they changed. That it was taken is on record. */
export function exportLines(scope: AuditScope, filters: LineFilters, format: 'jsonl' | 'csv'): Promise<Blob> {
  const query = { ...given(filters), format }
  return scope.everywhere
    ? requestBlob<ExportInstallationAuditData>('/api/v1/installation/audit/export', { query })
    : requestBlob<ExportAuditData>('/api/v1/audit/export', { query: { ...query, project: scope.project } })
}
