import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { OwnSession } from '@/api/generated/types.gen'
import { closeSession, openSession, readSession } from '@/api/session'
import { aProblem, someTokens } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { ChoosePasswordForm } from './choose-password-form'
import { ForgotForm } from './forgot-form'
import { PasswordForm } from './password-form'
import { SessionList } from './session-list'
import { SetUpForm } from './set-up-form'
import { SignInForm } from './sign-in-form'
import { UserActions } from './user-actions'

const EXPIRES = '2026-11-23T12:00:00Z'
const aLink = (purpose: 'reset' | 'invite' | 'setup') => ({
  purpose,
  email: purpose === 'setup' ? null : 'zoe@example.org',
  name: purpose === 'setup' ? null : 'Zoe',
  expires_at: EXPIRES,
})
const aSession = (id: string, given: Partial<OwnSession> = {}): OwnSession => ({
  id,
  device: 'Firefox on Linux',
  address: '192.0.2.7',
  created_at: EXPIRES,
  used_at: EXPIRES,
  expires_at: EXPIRES,
  current: false,
  ...given,
})
const weak = () =>
  HttpResponse.json(
    aProblem(422, 'invalid', 'This password cannot be taken.', {
      errors: [{ path: 'password', message: 'it is a common one' }],
    }),
    { status: 422 },
  )

beforeEach(() => closeSession())

function linkLeadsTo(purpose: 'reset' | 'invite' | 'setup') {
  server.use(http.post(api('/auth/link'), () => HttpResponse.json(aLink(purpose))))
}

describe('a link to a password', () => {
  test('is used with the password that was typed, and a refusal is said at the field', async () => {
    linkLeadsTo('reset')
    const sent: unknown[] = []
    server.use(
      http.post(api('/auth/password'), async ({ request }) => {
        sent.push(await request.json())
        return sent.length === 1 ? weak() : new HttpResponse(null, { status: 204 })
      }),
    )
    const chosen = vi.fn()
    show(<ChoosePasswordForm token="tok" onChosen={chosen} />)
    const field = await screen.findByLabelText('New password')
    expect(screen.getByText('zoe@example.org')).toBeVisible()
    await userEvent.type(field, 'password1')
    await userEvent.click(screen.getByRole('button', { name: 'Choose this password' }))
    expect(await screen.findByText('It is a common one.')).toBeVisible()
    expect(field).toBeInvalid()
    expect(chosen).not.toHaveBeenCalled()
    await userEvent.clear(field)
    await userEvent.type(field, 'three kettles')
    await userEvent.click(screen.getByRole('button', { name: 'Choose this password' }))
    await waitFor(() => expect(chosen).toHaveBeenCalledOnce())
    expect(sent.at(-1)).toEqual({ token: 'tok', password: 'three kettles' })
  })

  test('that leads nowhere says so instead of asking for a password', async () => {
    server.use(
      http.post(api('/auth/link'), () =>
        HttpResponse.json(aProblem(404, 'link-void', 'This link was used.'), { status: 404 }),
      ),
    )
    show(<ChoosePasswordForm token="tok" onChosen={() => {}} />)
    expect(await screen.findByRole('alert')).toHaveTextContent('This link was used.')
    expect(screen.queryByLabelText('New password')).toBeNull()
  })

  test('for the set-up is not taken for one to a password, nor the other way round', async () => {
    linkLeadsTo('setup')
    show(<ChoosePasswordForm token="tok" onChosen={() => {}} />)
    expect(await screen.findByRole('alert')).toHaveTextContent('something else')
  })

  test('that lost its end asks for the whole one, without asking the server', async () => {
    show(<ChoosePasswordForm token="" onChosen={() => {}} />)
    expect(screen.getByRole('alert')).toHaveTextContent('open the whole link')
  })
})

test('the first administrator is signed in after the set-up', async () => {
  linkLeadsTo('setup')
  server.use(http.post(api('/auth/set-up'), () => HttpResponse.json(someTokens(), { status: 201 })))
  const done = vi.fn()
  show(<SetUpForm token="tok" onDone={done} />)
  await userEvent.type(await screen.findByLabelText('Name'), 'Ada')
  await userEvent.type(screen.getByLabelText('E-mail'), 'ada@example.org')
  await userEvent.type(screen.getByLabelText('Password'), 'three kettles')
  await userEvent.click(screen.getByRole('button', { name: 'Become the administrator' }))
  await waitFor(() => expect(done).toHaveBeenCalledOnce())
  expect(readSession()).toMatchObject({ phase: 'in', user: { name: 'Ada' } })
})

test('who asks for a mailed link does not learn whether somebody is there', async () => {
  server.use(http.post(api('/auth/forgot'), () => HttpResponse.json(null, { status: 202 })))
  show(<ForgotForm />)
  await userEvent.type(screen.getByLabelText('E-mail'), 'who@example.org')
  await userEvent.click(screen.getByRole('button', { name: 'Send the link' }))
  expect(await screen.findByRole('status')).toHaveTextContent('If who@example.org belongs to somebody here')
})

describe('the sign-in form', () => {
  test.each([
    [{ mail: true, set_up: true }, 'Forgotten your password?'],
    [{ mail: false, set_up: true }, 'An administrator gives you a link'],
    [{ mail: false, set_up: false }, 'Nobody is here yet'],
  ])('says what there is: %j', async (options, said) => {
    server.use(http.get(api('/auth/options'), () => HttpResponse.json(options)))
    show(<SignInForm />)
    expect(await screen.findByText(new RegExp(said.replace('?', '\\?')))).toBeVisible()
  })

  test('lets a person look at what was typed', async () => {
    server.use(http.get(api('/auth/options'), () => HttpResponse.json({ mail: false, set_up: true })))
    show(<SignInForm />)
    const field = screen.getByLabelText('Password')
    expect(field).toHaveAttribute('type', 'password')
    await userEvent.click(screen.getByRole('button', { name: 'Show password' }))
    expect(field).toHaveAttribute('type', 'text')
  })
})

test('a changed password goes on with the session that comes back, and a wrong one is said at its field', async () => {
  openSession(someTokens('old'))
  server.use(
    http.post(api('/me/password'), async ({ request }) => {
      const { current } = (await request.json()) as { current: string }
      return current === 'right'
        ? HttpResponse.json(someTokens('new'))
        : HttpResponse.json(
            aProblem(422, 'invalid', 'The present password is wrong.', {
              errors: [{ path: 'current', message: 'is not your present password' }],
            }),
            { status: 422 },
          )
    }),
    http.get(api('/me/sessions'), () => HttpResponse.json({ items: [], next_cursor: null })),
    http.get(api('/me/factor'), () =>
      HttpResponse.json({ enrolled_at: null, recovery_codes: 0, demanded: false, has_password: true }),
    ),
  )
  show(<PasswordForm email="ada@example.org" />)
  const current = screen.getByLabelText('Present password')
  await userEvent.type(current, 'wrong')
  await userEvent.type(screen.getByLabelText('New password'), 'three kettles')
  await userEvent.click(screen.getByRole('button', { name: 'Change password' }))
  expect(await screen.findByText('Is not your present password.')).toBeVisible()
  await userEvent.clear(current)
  await userEvent.type(current, 'right')
  await userEvent.click(screen.getByRole('button', { name: 'Change password' }))
  await waitFor(() => expect(current).toHaveValue(''))
  expect(readSession().phase).toBe('in')
})

test('every session but this one can be ended', async () => {
  let rows = [aSession('here', { current: true }), aSession('there', { device: 'curl' }), aSession('far')]
  server.use(
    http.get(api('/me/sessions'), () => HttpResponse.json({ items: rows, next_cursor: null })),
    http.delete(api('/me/sessions/:id'), ({ params }) => {
      rows = rows.filter((row) => row.id !== params.id)
      return new HttpResponse(null, { status: 204 })
    }),
    http.delete(api('/me/sessions'), () => {
      rows = rows.filter((row) => row.current)
      return HttpResponse.json({ ended: 1 })
    }),
  )
  show(<SessionList />)
  const curl = await screen.findByRole('row', { name: /curl/ })
  expect(within(screen.getByRole('row', { name: /This one/ })).queryByRole('button')).toBeNull()
  await userEvent.click(within(curl).getByRole('button', { name: 'End' }))
  await waitFor(() => expect(screen.queryByRole('row', { name: /curl/ })).toBeNull())
  await userEvent.click(screen.getByRole('button', { name: 'End all others' }))
  await waitFor(() => expect(screen.queryByRole('button', { name: 'End all others' })).toBeNull())
})

describe('what an administrator does about a person', () => {
  const kim = { id: 'kim', name: 'Kim', disabled_at: null, has_factor: false }

  test('a link is shown once, to be handed on', async () => {
    server.use(
      http.post(api('/users/kim/link'), () =>
        HttpResponse.json(
          {
            user: { id: 'kim', email: 'kim@example.org', name: 'Kim', is_admin: false },
            purpose: 'reset',
            link: '/reset#tok',
            expires_at: EXPIRES,
            mailed: false,
          },
          { status: 201 },
        ),
      ),
    )
    show(<UserActions person={kim} />)
    await userEvent.click(screen.getByRole('button', { name: 'What to do about Kim' }))
    await userEvent.click(await screen.findByRole('menuitem', { name: 'Make a link to a new password' }))
    expect(await screen.findByText(`${location.origin}/reset#tok`)).toBeVisible()
  })

  test('who is disabled can only be enabled', async () => {
    show(<UserActions person={{ ...kim, disabled_at: EXPIRES }} />)
    await userEvent.click(screen.getByRole('button', { name: 'What to do about Kim' }))
    expect(await screen.findByRole('menuitem', { name: 'Enable' })).toBeVisible()
    expect(screen.queryByRole('menuitem', { name: 'Disable' })).toBeNull()
  })
})
