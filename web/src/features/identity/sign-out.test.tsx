import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { beforeEach, expect, test } from 'vitest'
import { openSession, readSession } from '@/api/session'
import { aProblem, someTokens } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { useSignOut } from './api'

function Out() {
  const signOut = useSignOut()
  return (
    <button type="button" onClick={() => signOut.mutate()}>
      Sign out
    </button>
  )
}

async function signOut(answer: () => Response) {
  server.use(http.post(api('/auth/sign-out'), answer))
  openSession(someTokens())
  show(<Out />)
  await userEvent.click(screen.getByRole('button', { name: 'Sign out' }))
  await waitFor(() => expect(readSession()).toEqual({ phase: 'out' }))
}

beforeEach(() => {
  location.hash = ''
})

test('who came from a provider goes there next, to sign out there too', async () => {
  // An address on this very page: that is as far as a page of tests can go.
  const leave_at = `${location.origin}${location.pathname}#end-session`
  await signOut(() => HttpResponse.json({ leave_at }))
  await waitFor(() => expect(location.hash).toBe('#end-session'))
})

test('who did not stays here', async () => {
  await signOut(() => HttpResponse.json({ leave_at: null }))
  expect(location.hash).toBe('')
})

test('who the server did not hear is signed out here all the same', async () => {
  await signOut(() => HttpResponse.json(aProblem(503, 'unavailable', 'Try again.'), { status: 503 }))
  expect(location.hash).toBe('')
})
