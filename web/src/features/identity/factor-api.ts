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
import { continueSession, openSession } from '@/api/session'
import { toast } from '@/components/ui/toast'
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

/** Ends all sessions; this page goes on with the new one that comes back. That there is a second factor is known only
 *  once the recovery codes have been seen: see `useFactorSeen`. */
export function useConfirmFactor() {
  return useMutation({
    mutationFn: (code: string) =>
      request<ConfirmFactorData, ConfirmFactorResponse>('POST', '/api/v1/me/factor/confirm', {
        body: { code },
      }),
    onSuccess: (answer) => continueSession(answer.tokens),
  })
}

export function useRenewRecoveryCodes() {
  const seen = useFactorSeen()
  return useMutation({
    mutationFn: (body: RenewRecoveryCodesData['body']) =>
      request<RenewRecoveryCodesData, RenewRecoveryCodesResponse>(
        'POST',
        '/api/v1/me/factor/recovery-codes',
        { body },
      ),
    onSuccess: seen,
  })
}

/** Ends all sessions; this page goes on with the new one that comes back. Where a second factor is demanded, that one is
 *  good for setting up another one alone. */
export function useRemoveFactor() {
  const seen = useFactorSeen()
  return useMutation({
    mutationFn: (body: RemoveFactorData['body']) =>
      request<RemoveFactorData, RemoveFactorResponse>('POST', '/api/v1/me/factor/remove', { body }),
    onSuccess: async (tokens) => {
      openSession(tokens)
      toast('Second factor removed. You are signed out everywhere else.')
      await seen()
    },
  })
}

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
