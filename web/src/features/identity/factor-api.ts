import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  AnswerChallengeData,
  AnswerChallengeResponse,
  BeginFactorData,
  BeginFactorResponse,
  ConfirmFactorData,
  ConfirmFactorResponse,
  GetFactorData,
  GetFactorResponse,
  RemoveFactorData,
  RemoveFactorResponse,
  RenewRecoveryCodesData,
  RenewRecoveryCodesResponse,
  ResetFactorData,
  ResetFactorResponse,
} from '@/api/generated/types.gen'
import { openSession } from '@/api/session'
import { sessionsQuery } from './api'

/** Whether the caller has a second factor, and whether they have to. */
export const factorQuery = queryOptions({
  queryKey: ['me', 'factor'],
  queryFn: ({ signal }) => request<GetFactorData, GetFactorResponse>('GET', '/api/v1/me/factor', { signal }),
})

/** The second step of signing in: what the app shows, or a recovery code. */
export function useAnswerChallenge() {
  return useMutation({
    mutationFn: (code: string) =>
      request<AnswerChallengeData, AnswerChallengeResponse>('POST', '/api/v1/auth/factor', {
        body: { code },
      }),
    onSuccess: openSession,
  })
}

export function useBeginFactor() {
  return useMutation({
    mutationFn: (current: string) =>
      request<BeginFactorData, BeginFactorResponse>('POST', '/api/v1/me/factor', { body: { current } }),
  })
}

/** Looks anew at what has been changed. */
export function useFactorSeen() {
  const queryClient = useQueryClient()
  return async () => {
    await queryClient.invalidateQueries({ queryKey: factorQuery.queryKey })
    await queryClient.invalidateQueries({ queryKey: sessionsQuery.queryKey })
  }
}

/** Changes the caller's second factor; other sessions may end with it. */
function useFactorChange<A, R>(mutationFn: (argument: A) => Promise<R>) {
  const seen = useFactorSeen()
  return useMutation({ mutationFn, onSuccess: seen })
}

/** It is known only once the recovery codes have been seen: see `useFactorSeen`. */
export function useConfirmFactor() {
  return useMutation({
    mutationFn: (code: string) =>
      request<ConfirmFactorData, ConfirmFactorResponse>('POST', '/api/v1/me/factor/confirm', {
        body: { code },
      }),
  })
}

export const useRenewRecoveryCodes = () =>
  useFactorChange((body: RenewRecoveryCodesData['body']) =>
    request<RenewRecoveryCodesData, RenewRecoveryCodesResponse>('POST', '/api/v1/me/factor/recovery-codes', {
      body,
    }),
  )

export const useRemoveFactor = () =>
  useFactorChange((body: RemoveFactorData['body']) =>
    request<RemoveFactorData, RemoveFactorResponse>('POST', '/api/v1/me/factor/remove', { body }),
  )

/** What an administrator does for somebody who has lost theirs. */
export function useResetFactor() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (user_id: string) =>
      request<ResetFactorData, ResetFactorResponse>('DELETE', '/api/v1/users/{user_id}/factor', {
        path: { user_id },
      }),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['users'] }),
  })
}
