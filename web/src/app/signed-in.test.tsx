import { QueryClientProvider } from '@tanstack/react-query'
import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { createMemoryRouter, RouterProvider, useLocation } from 'react-router'
import { beforeEach, expect, test } from 'vitest'
import { closeSession, openSession } from '@/api/session'
import { aProblem, someTokens } from '@/test/factories'
import { api, server } from '@/test/server'
import { makeQueryClient } from './query-client'
import SignInPage from './routes/sign-in'
import { SignedIn } from './signed-in'

function Here() {
  const { pathname, search } = useLocation()
  return <p>at {pathname + search}</p>
}

function visit(address: string) {
  const router = createMemoryRouter(
    [
      { path: '/login', element: <SignInPage /> },
      { element: <SignedIn />, children: [{ path: '*', element: <Here /> }] },
    ],
    { initialEntries: [address] },
  )
  render(
    <QueryClientProvider client={makeQueryClient()}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  )
}

async function signIn(password: string) {
  await userEvent.type(screen.getByLabelText('E-mail'), 'ada@example.org')
  await userEvent.type(screen.getByLabelText('Password'), password)
  await userEvent.click(screen.getByRole('button', { name: 'Sign in' }))
}

beforeEach(() => {
  closeSession()
  server.use(
    http.get(api('/auth/options'), () => HttpResponse.json({ mail: false, set_up: true })),
    http.get(api('/auth/oidc'), () => HttpResponse.json({ enabled: false, label: null })),
    http.post(api('/auth/sign-in'), async ({ request }) => {
      const { password } = (await request.json()) as { password: string }
      return password === 'right'
        ? HttpResponse.json(someTokens())
        : HttpResponse.json(aProblem(401, 'unauthenticated', 'E-mail or password is wrong.'), { status: 401 })
    }),
  )
})

test('signing in leads to the page that was asked for, with its search', async () => {
  visit('/p/weather/runs?status=failed')
  await signIn('right')
  expect(await screen.findByText('at /p/weather/runs?status=failed')).toBeVisible()
})

test('who has to have a second factor sets it up before any page, and then sees the one that was asked for', async () => {
  let mustEnrol = true
  server.use(
    http.post(api('/auth/sign-in'), () => HttpResponse.json({ ...someTokens(), must_enrol: true })),
    http.post(api('/auth/refresh'), () => HttpResponse.json({ ...someTokens(), must_enrol: mustEnrol })),
    http.post(api('/me/factor'), () =>
      HttpResponse.json({ key: 'ABCD', address: 'otpauth:', picture: 'data:,' }),
    ),
    http.post(api('/me/factor/confirm'), () => {
      mustEnrol = false
      return HttpResponse.json({ codes: ['AAAA'], tokens: someTokens() })
    }),
  )
  visit('/p/weather/runs')
  await signIn('right')
  expect(await screen.findByRole('heading', { name: 'Set up a second factor' })).toBeVisible()
  expect(screen.queryByText('at /p/weather/runs')).toBeNull()
  await userEvent.type(screen.getByLabelText('Your password'), 'right{Enter}')
  await userEvent.type(await screen.findByLabelText('Code that the app shows'), '123456{Enter}')
  await userEvent.click(await screen.findByRole('button', { name: 'I have kept them' }))
  expect(await screen.findByText('at /p/weather/runs')).toBeVisible()
})

test('a wrong password is said at the form', async () => {
  visit('/p/weather/runs')
  await signIn('wrong')
  expect(await screen.findByText('E-mail or password is wrong.')).toBeVisible()
})

test('a session that ends on a page comes back to that page', async () => {
  openSession(someTokens())
  visit('/p/weather/runs?q=x')
  expect(await screen.findByText('at /p/weather/runs?q=x')).toBeVisible()
  closeSession()
  expect(await screen.findByLabelText('Password')).toBeVisible()
  await signIn('right')
  expect(await screen.findByText('at /p/weather/runs?q=x')).toBeVisible()
})

test('a link cannot lead a fresh session to another site', async () => {
  visit(`/login?next=${encodeURIComponent('//elsewhere.example')}`)
  await signIn('right')
  expect(await screen.findByText('at /')).toBeVisible()
})
