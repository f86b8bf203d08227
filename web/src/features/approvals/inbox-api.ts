import { queryOptions } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  GetApprovalData,
  GetApprovalResponse,
  ListApprovalMessagesData,
  ListApprovalMessagesResponse,
  ListApprovalsData,
  ListApprovalsResponse,
  ListMembersData,
  ListMembersResponse,
  PreviewApprovalData,
  PreviewApprovalResponse,
} from '@/api/generated/types.gen'
import { approvalKeys } from './api'

const SHOWN = 100

/** The newest questions of a project that are settled, whichever way. */
export const doneApprovalsQuery = (project: string) =>
  queryOptions({
    queryKey: [...approvalKeys.of(project), 'done'],
    queryFn: ({ signal }) =>
      request<ListApprovalsData, ListApprovalsResponse>('GET', '/api/v1/approvals', {
        query: { project, state: 'done', limit: SHOWN },
        signal,
      }),
  })

/** One question. It is found under its project's key, so that what happens in the project brings it up to date. */
export const approvalQuery = (project: string, id: string) =>
  queryOptions({
    queryKey: [...approvalKeys.of(project), 'one', id],
    queryFn: ({ signal }) =>
      request<GetApprovalData, GetApprovalResponse>('GET', '/api/v1/approvals/{approval_id}', {
        path: { approval_id: id },
        signal,
      }),
  })

/** What will go out if people agree, and what helps them to decide; `revision` changes when the request does. */
export const previewQuery = (project: string, id: string, revision: string) =>
  queryOptions({
    queryKey: [...approvalKeys.of(project), 'preview', id, revision],
    queryFn: ({ signal }) =>
      request<PreviewApprovalData, PreviewApprovalResponse>(
        'GET',
        '/api/v1/approvals/{approval_id}/preview',
        {
          path: { approval_id: id },
          signal,
        },
      ),
  })

/** What was asked and told about a question. */
export const messagesQuery = (project: string, id: string) =>
  queryOptions({
    queryKey: [...approvalKeys.of(project), 'messages', id],
    queryFn: ({ signal }) =>
      request<ListApprovalMessagesData, ListApprovalMessagesResponse>(
        'GET',
        '/api/v1/approvals/{approval_id}/messages',
        { path: { approval_id: id }, signal },
      ),
  })

/** Who belongs to a project, and so may answer. */
export const answerersQuery = (project: string) =>
  queryOptions({
    queryKey: ['members', project],
    queryFn: ({ signal }) =>
      request<ListMembersData, ListMembersResponse>('GET', '/api/v1/projects/{slug}/members', {
        path: { slug: project },
        signal,
      }),
  })
