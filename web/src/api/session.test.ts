import { waitFor } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { aProblem, someTokens } from '@/test/factories'
import { api, server } from '@/test/server'

type SessionModule = typeof import('./session')

/** The session as a page finds it that has just been opened. */
async function freshSession(): Promise<SessionModule> {
  vi.resetModules()
  return import('./session')
}

const refused = (status: number) =>
  HttpResponse.json(aProblem(status, 'some-code', `Answer ${status}.`), { status })

/** The answers to the refreshes in their order; the last one to all that follow. */
function answers(...given: Array<() => Response>) {
  let asked = 0
  server.use(http.post(api('/auth/refresh'), () => given[Math.min(asked++, given.length - 1)]?.()))
}

describe('when a page is opened', () => {
  let session: SessionModule
  beforeEach(async () => {
    session = await freshSession()
  })

  test.each([401, 403])('the answer %i means: sign in first', async (status) => {
    answers(() => refused(status))
    await session.startSession()
    expect(session.readSession()).toEqual({ phase: 'out' })
  })

  test.each([
    ['a server in trouble', () => refused(503), 503],
    ['too many requests', () => refused(429), 429],
    ['no answer', () => HttpResponse.error(), 0],
  ])('%s is said, and tried again until there is an answer', async (_, trouble, status) => {
    answers(trouble, () => HttpResponse.json(someTokens()))
    const started = session.startSession()
    await waitFor(() =>
      expect(session.readSession()).toMatchObject({ phase: 'starting', trouble: { status } }),
    )
    dispatchEvent(new Event('online'))
    await started
    expect(session.readSession()).toMatchObject({ phase: 'in' })
  })
})

test('a server in trouble does not end a session', async () => {
  const session = await freshSession()
  session.openSession(someTokens())
  answers(() => refused(503))
  await expect(session.refreshSession()).rejects.toMatchObject({ status: 503 })
  expect(session.readSession().phase).toBe('in')
})
