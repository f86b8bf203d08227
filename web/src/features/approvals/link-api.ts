import { queryOptions } from '@tanstack/react-query'
import { request } from '@/api/client'
import type { FollowApprovalLinkData, FollowApprovalLinkResponse } from '@/api/generated/types.gen'

/** The question that a link from a mail or a chat leads to; `mark` is what the link carries. */
export const linkedApprovalQuery = (id: string, mark: string) =>
  queryOptions({
    queryKey: ['approval-link', id, mark],
    queryFn: ({ signal }) =>
      request<FollowApprovalLinkData, FollowApprovalLinkResponse>(
        'GET',
        '/api/v1/approvals/{approval_id}/link',
        {
          path: { approval_id: id },
          query: { s: mark },
          signal,
        },
      ),
  })
