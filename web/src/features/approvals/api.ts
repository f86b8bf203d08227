import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  Approval,
  ApproveData,
  ApproveResponse,
  EditAndApproveData,
  EditAndApproveResponse,
  ListApprovalsData,
  ListApprovalsResponse,
  ReassignApprovalData,
  ReassignApprovalResponse,
  RejectData,
  RejectResponse,
  WriteApprovalMessageData,
  WriteApprovalMessageResponse,
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

/** `shown`: the digest of the request that is shown, so that nobody agrees to what they have not seen. */
export type Approving = { id: string; shown: string; comment?: string | null }
export type Editing = Approving & { arguments: { [name: string]: unknown } }
export type Rejecting = { id: string; reason: string }

export function useApprove() {
  const answered = useAnswered()
  return useMutation({
    mutationFn: ({ id, shown, comment = null }: Approving) =>
      request<ApproveData, ApproveResponse>('POST', '/api/v1/approvals/{approval_id}/approve', {
        path: { approval_id: id },
        body: { comment, request_hash: shown },
      }),
    onSuccess: answered,
  })
}

/** Agrees to a call with other arguments than those that are shown. */
export function useEditAndApprove() {
  const answered = useAnswered()
  return useMutation({
    mutationFn: ({ id, shown, comment = null, arguments: wanted }: Editing) =>
      request<EditAndApproveData, EditAndApproveResponse>('POST', '/api/v1/approvals/{approval_id}/edit', {
        path: { approval_id: id },
        body: { arguments: wanted as EditAndApproveData['body']['arguments'], comment, request_hash: shown },
      }),
    onSuccess: answered,
  })
}

/** Asks or tells something about a question before it is answered. */
export function useWriteMessage(approval: Approval) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (text: string) =>
      request<WriteApprovalMessageData, WriteApprovalMessageResponse>(
        'POST',
        '/api/v1/approvals/{approval_id}/messages',
        { path: { approval_id: approval.id }, body: { text } },
      ),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: approvalKeys.of(approval.project) }),
  })
}

/** `to`: a role, or the e-mail address of a member. */
export type Reassigning = { id: string; to: string; comment: string | null }

export function useReassign() {
  const answered = useAnswered()
  return useMutation({
    mutationFn: ({ id, ...body }: Reassigning) =>
      request<ReassignApprovalData, ReassignApprovalResponse>(
        'POST',
        '/api/v1/approvals/{approval_id}/reassign',
        { path: { approval_id: id }, body },
      ),
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
