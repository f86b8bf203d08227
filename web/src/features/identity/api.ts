import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  ChangePasswordData,
  ChangePasswordResponse,
  ChoosePasswordData,
  ChoosePasswordResponse,
  DisableUserData,
  DisableUserResponse,
  EnableUserData,
  EnableUserResponse,
  EndOtherSessionsData,
  EndOtherSessionsResponse,
  EndSessionData,
  EndSessionResponse,
  ForgotPasswordData,
  GetMeData,
  GetMeResponse,
  GetOidcData,
  GetOidcResponse,
  GetSignInOptionsData,
  GetSignInOptionsResponse,
  InviteUserData,
  InviteUserResponse,
  ListSessionsData,
  ListSessionsResponse,
  LookAtLinkData,
  LookAtLinkResponse,
  MakeUserLinkData,
  MakeUserLinkResponse,
  SetUpData,
  SetUpResponse,
  SignInData,
  SignInResponse,
  SignOutData,
  SignOutResponse,
  UpdateMeData,
  UpdateMeResponse,
} from '@/api/generated/types.gen'
import { closeSession, openSession, renameSelf } from '@/api/session'

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: ({ signal }) => request<GetMeData, GetMeResponse>('GET', '/api/v1/me', { signal }),
})

/** Whether one may sign in at an OpenID provider. */
export const oidcQuery = queryOptions({
  queryKey: ['oidc'],
  queryFn: ({ signal }) => request<GetOidcData, GetOidcResponse>('GET', '/api/v1/auth/oidc', { signal }),
  staleTime: Number.POSITIVE_INFINITY,
})

/** What the sign-in page can offer. */
export const signInOptionsQuery = queryOptions({
  queryKey: ['sign-in-options'],
  queryFn: ({ signal }) =>
    request<GetSignInOptionsData, GetSignInOptionsResponse>('GET', '/api/v1/auth/options', { signal }),
})

/** What a one-time link leads to; asking leaves it as it is. */
export const linkQuery = (token: string) =>
  queryOptions({
    queryKey: ['link', token],
    queryFn: ({ signal }) =>
      request<LookAtLinkData, LookAtLinkResponse>('POST', '/api/v1/auth/link', { body: { token }, signal }),
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    // A link works once: what was learned of it before may not hold any more.
    refetchOnMount: 'always',
  })

export const sessionsQuery = queryOptions({
  queryKey: ['me', 'sessions'],
  queryFn: ({ signal }) =>
    request<ListSessionsData, ListSessionsResponse>('GET', '/api/v1/me/sessions', { signal }),
})

export function useSignIn() {
  return useMutation({
    mutationFn: (body: SignInData['body']) =>
      request<SignInData, SignInResponse>('POST', '/api/v1/auth/sign-in', { body }),
    onSuccess: (answer) => ('access_token' in answer ? openSession(answer) : undefined),
  })
}

/** Signed out here in any case; if the server did not hear it, its token runs out by itself. Who signed in at an OpenID
 *  provider goes there next, to sign out there too. */
export function useSignOut() {
  return useMutation({
    mutationFn: () => request<SignOutData, SignOutResponse>('POST', '/api/v1/auth/sign-out'),
    onSettled: (out) => {
      closeSession()
      if (out?.leave_at) window.location.assign(out.leave_at)
    },
  })
}

export function useForgotPassword() {
  return useMutation({
    mutationFn: (email: string) =>
      request<ForgotPasswordData, unknown>('POST', '/api/v1/auth/forgot', { body: { email } }),
  })
}

export function useChoosePassword() {
  return useMutation({
    mutationFn: (body: ChoosePasswordData['body']) =>
      request<ChoosePasswordData, ChoosePasswordResponse>('POST', '/api/v1/auth/password', { body }),
  })
}

export function useSetUp() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: SetUpData['body']) =>
      request<SetUpData, SetUpResponse>('POST', '/api/v1/auth/set-up', { body }),
    onSuccess: async (tokens) => {
      openSession(tokens)
      await queryClient.invalidateQueries({ queryKey: ['sign-in-options'] })
    },
  })
}

export function useUpdateMe() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (name: string) =>
      request<UpdateMeData, UpdateMeResponse>('PATCH', '/api/v1/me', { body: { name } }),
    onSuccess: async (user) => {
      renameSelf(user.name)
      await queryClient.invalidateQueries({ queryKey: ['me'] })
    },
  })
}

/** Changes the password; this page goes on with the new session that comes back. */
export function useChangePassword() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: ChangePasswordData['body']) =>
      request<ChangePasswordData, ChangePasswordResponse>('POST', '/api/v1/me/password', { body }),
    onSuccess: async (tokens) => {
      openSession(tokens)
      await queryClient.invalidateQueries({ queryKey: sessionsQuery.queryKey })
    },
  })
}

function useSessionsChange<A, R>(mutationFn: (argument: A) => Promise<R>) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn,
    onSettled: () => queryClient.invalidateQueries({ queryKey: sessionsQuery.queryKey }),
  })
}

export const useEndSession = () =>
  useSessionsChange((session_id: string) =>
    request<EndSessionData, EndSessionResponse>('DELETE', '/api/v1/me/sessions/{session_id}', {
      path: { session_id },
    }),
  )

export const useEndOtherSessions = () =>
  useSessionsChange((_: undefined) =>
    request<EndOtherSessionsData, EndOtherSessionsResponse>('DELETE', '/api/v1/me/sessions'),
  )

function usePeopleChange<A, R>(mutationFn: (argument: A) => Promise<R>) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn,
    onSuccess: () => queryClient.invalidateQueries({ queryKey: ['users'] }),
  })
}

export const useInviteUser = () =>
  usePeopleChange((body: InviteUserData['body']) =>
    request<InviteUserData, InviteUserResponse>('POST', '/api/v1/users', { body }),
  )

export const useMakeUserLink = () =>
  usePeopleChange((user_id: string) =>
    request<MakeUserLinkData, MakeUserLinkResponse>('POST', '/api/v1/users/{user_id}/link', {
      path: { user_id },
    }),
  )

export const useDisableUser = () =>
  usePeopleChange((user_id: string) =>
    request<DisableUserData, DisableUserResponse>('POST', '/api/v1/users/{user_id}/disable', {
      path: { user_id },
    }),
  )

export const useEnableUser = () =>
  usePeopleChange((user_id: string) =>
    request<EnableUserData, EnableUserResponse>('POST', '/api/v1/users/{user_id}/enable', {
      path: { user_id },
    }),
  )
