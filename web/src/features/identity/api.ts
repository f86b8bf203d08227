import { queryOptions, useMutation } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  GetMeData,
  GetMeResponse,
  GetOidcData,
  GetOidcResponse,
  SignInData,
  SignInResponse,
  SignOutData,
  SignOutResponse,
} from '@/api/generated/types.gen'
import { closeSession, openSession } from '@/api/session'

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

export function useSignIn() {
  return useMutation({
    mutationFn: (body: SignInData['body']) =>
      request<SignInData, SignInResponse>('POST', '/api/v1/auth/sign-in', { body }),
    onSuccess: openSession,
  })
}

/** Signed out here in any case; if the server did not hear it, its token runs out by itself. */
export function useSignOut() {
  return useMutation({
    mutationFn: () => request<SignOutData, SignOutResponse>('POST', '/api/v1/auth/sign-out'),
    onSettled: closeSession,
  })
}
