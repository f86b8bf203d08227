import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  Approval,
  ApproveData,
  ApproveResponse,
  ListApprovalsData,
  ListApprovalsResponse,
  RejectData,
  RejectResponse,
} from '@/api/generated/types.gen'

const SHOWN = 200

export const approvalKeys = { of: (project: string) => ['approvals', project] as const }

/** The approvals of a project that wait for an answer, at most 200. */
export const openApprovalsQuery = (project: string) =>
  queryOptions({
    queryKey: [...approvalKeys.of(project), 'open'],
    queryFn: ({ signal }) =>
      request<ListApprovalsData, ListApprovalsResponse>('GET', '/api/v1/approvals', {
        query: { project, state: 'open', limit: SHOWN },
        signal,
      }),
  })

function useAnswered() {
  const queryClient = useQueryClient()
  return async (approval: Approval) => {
    await Promise.all([
      queryClient.invalidateQueries({ queryKey: approvalKeys.of(approval.project) }),
      queryClient.invalidateQueries({ queryKey: ['run', approval.run_id] }),
    ])
  }
}

export type Approving = { id: string; comment?: string | null }
export type Rejecting = { id: string; reason: string }

export function useApprove() {
  const answered = useAnswered()
  return useMutation({
    mutationFn: ({ id, comment = null }: Approving) =>
      request<ApproveData, ApproveResponse>('POST', '/api/v1/approvals/{approval_id}/approve', {
        path: { approval_id: id },
        body: { comment },
      }),
    onSuccess: answered,
  })
}

export function useReject() {
  const answered = useAnswered()
  return useMutation({
    mutationFn: ({ id, reason }: Rejecting) =>
      request<RejectData, RejectResponse>('POST', '/api/v1/approvals/{approval_id}/reject', {
        path: { approval_id: id },
        body: { reason },
      }),
    onSuccess: answered,
  })
}
