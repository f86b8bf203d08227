import { HttpResponse, http } from 'msw'
import { beforeEach, describe, expect, test } from 'vitest'
import { aProblem, someTokens } from '@/test/factories'
import { api, server } from '@/test/server'
import { request } from './client'
import type { GetMeData, GetMeResponse } from './generated/types.gen'
import { RequestFailed } from './problem'
import { openSession, readSession } from './session'

const getMe = () => request<GetMeData, GetMeResponse>('GET', '/api/v1/me')
const me: GetMeResponse = { user: someTokens().user, projects: [], may_create_projects: true }

/** Answers /me to the token `fresh` only, and counts how often a refresh was asked for. */
function serve({ refreshes }: { refreshes: boolean }) {
  const asked = { refresh: 0 }
  server.use(
    http.get(api('/me'), ({ request: asking }) =>
      asking.headers.get('authorization') === 'Bearer fresh'
        ? HttpResponse.json(me)
        : HttpResponse.json(aProblem(401, 'unauthenticated', 'The token has run out.'), { status: 401 }),
    ),
    http.post(api('/auth/refresh'), () => {
      asked.refresh += 1
      return refreshes
        ? HttpResponse.json(someTokens('fresh'))
        : HttpResponse.json(aProblem(401, 'unauthenticated', 'Sign in again.'), { status: 401 })
    }),
  )
  return asked
}

beforeEach(() => openSession(someTokens('old')))

describe('a token that has run out', () => {
  test('is replaced once for all requests that meet it, and they are answered', async () => {
    const asked = serve({ refreshes: true })
    const answers = await Promise.all([getMe(), getMe(), getMe()])
    expect(answers).toEqual([me, me, me])
    expect(asked.refresh).toBe(1)
  })

  test('ends the session when it cannot be replaced', async () => {
    serve({ refreshes: false })
    await expect(getMe()).rejects.toMatchObject({ status: 401 })
    expect(readSession().phase).toBe('out')
  })
})

test('a second factor that has come to be demanded is known from the first refusal on', async () => {
  server.use(
    http.get(api('/me'), () =>
      HttpResponse.json(aProblem(403, 'second-factor-required', 'Set it up.'), { status: 403 }),
    ),
    http.post(api('/auth/refresh'), () => HttpResponse.json({ ...someTokens('fresh'), must_enrol: true })),
  )
  await expect(getMe()).rejects.toMatchObject({ status: 403 })
  expect(readSession()).toMatchObject({ phase: 'in', mustEnrol: true })
})

describe('failures', () => {
  test('keep everything the server said', async () => {
    const problem = aProblem(409, 'approval-closed', 'It is approved already.', { status_now: 'approved' })
    server.use(http.get(api('/me'), () => HttpResponse.json(problem, { status: 409 })))
    const failed = await getMe().catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(RequestFailed)
    expect(failed).toMatchObject({
      code: 'approval-closed',
      status: 409,
      message: 'It is approved already.',
      problem,
    })
  })

  test('without a problem document still say what answered', async () => {
    server.use(
      http.get(api('/me'), () => new HttpResponse('oh', { status: 502, headers: { 'x-request-id': 'r9' } })),
    )
    await expect(getMe()).rejects.toMatchObject({ status: 502, problem: { request_id: 'r9' } })
  })

  test('without any answer leave the session as it is', async () => {
    server.use(http.get(api('/me'), () => HttpResponse.error()))
    await expect(getMe()).rejects.toMatchObject({ code: 'unreachable', status: 0 })
    expect(readSession().phase).toBe('in')
  })
})
