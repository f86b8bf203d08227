import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { beforeEach, expect, test, vi } from 'vitest'
import type { Factor } from '@/api/generated/types.gen'
import { closeSession, openSession, readAccessToken, readSession } from '@/api/session'
import { aProblem, someTokens } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { EnrolFactor } from './enrol-factor'
import { FactorSection } from './factor-section'
import { PasswordForm } from './password-form'
import { SignInForm } from './sign-in-form'
import { UserActions } from './user-actions'

const SINCE = '2026-11-23T12:00:00Z'
const aFactor = (given: Partial<Factor> = {}): Factor => ({
  enrolled_at: SINCE,
  recovery_codes: 7,
  demanded: false,
  has_password: true,
  ...given,
})
const KEY = {
  key: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
  address: 'otpauth://totp/Spark-Ops:ada',
  picture: 'data:image/svg+xml,%3Csvg/%3E',
}
const refused = (path: string, message: string) =>
  HttpResponse.json(aProblem(422, 'invalid', 'Not so.', { errors: [{ path, message }] }), { status: 422 })

beforeEach(() => {
  closeSession()
  server.use(http.get(api('/auth/options'), () => HttpResponse.json({ mail: false, set_up: true })))
})

async function givePassword() {
  server.use(
    http.post(api('/auth/sign-in'), () =>
      HttpResponse.json({ factor: 'totp', expires_in: 300 }, { status: 202 }),
    ),
  )
  show(<SignInForm />)
  await userEvent.type(screen.getByLabelText('E-mail'), 'ada@example.org')
  await userEvent.type(screen.getByLabelText('Password'), 'three kettles')
  await userEvent.click(screen.getByRole('button', { name: 'Sign in' }))
  return screen.findByRole('form', { name: 'Second factor' })
}

test('the right password is asked for a code, and the right code signs in', async () => {
  const sent: unknown[] = []
  server.use(
    http.post(api('/auth/factor'), async ({ request }) => {
      sent.push(await request.json())
      return sent.length === 1
        ? HttpResponse.json(aProblem(401, 'code-refused', 'This code is wrong.'), { status: 401 })
        : HttpResponse.json(someTokens())
    }),
  )
  const form = await givePassword()
  expect(readSession().phase).toBe('out')
  const code = within(form).getByLabelText('Code')
  await userEvent.type(code, '000000{Enter}')
  expect(await screen.findByText('This code is wrong.')).toBeVisible()
  expect(code).toHaveValue('')
  await userEvent.type(code, ' 123 456 {Enter}')
  await waitFor(() => expect(readSession().phase).toBe('in'))
  expect(sent).toEqual([{ code: '000000' }, { code: '123 456' }])
})

test('a sign-in that has taken too long begins again with the password, and says why', async () => {
  server.use(
    http.post(api('/auth/factor'), () =>
      HttpResponse.json(aProblem(401, 'challenge-void', 'This sign-in has taken too long.'), { status: 401 }),
    ),
  )
  const form = await givePassword()
  await userEvent.type(within(form).getByLabelText('Code'), '123456{Enter}')
  expect(await screen.findByLabelText('Password')).toBeVisible()
  expect(screen.getByRole('alert')).toHaveTextContent('This sign-in has taken too long.')
})

test('setting it up shows key and recovery codes, and is done once they were kept', async () => {
  const done = vi.fn()
  server.use(
    http.post(api('/me/factor'), async ({ request }) => {
      const { current } = (await request.json()) as { current: string }
      return current === 'right' ? HttpResponse.json(KEY) : refused('current', 'is not your present password')
    }),
    http.post(api('/me/factor/confirm'), async ({ request }) => {
      const { code } = (await request.json()) as { code: string }
      return code === '123456'
        ? HttpResponse.json({
            codes: ['AAAA-BBBB', 'CCCC-DDDD'],
            tokens: { ...someTokens(), access_token: 'of-the-new-session', must_enrol: false },
          })
        : refused('code', 'is wrong')
    }),
  )
  openSession({ ...someTokens(), must_enrol: true })
  show(<EnrolFactor email="ada@example.org" onDone={done} />)
  await userEvent.type(screen.getByLabelText('Your password'), 'wrong{Enter}')
  expect(await screen.findByText('Is not your present password.')).toBeVisible()
  await userEvent.clear(screen.getByLabelText('Your password'))
  await userEvent.type(screen.getByLabelText('Your password'), 'right{Enter}')
  expect(await screen.findByRole('img', { name: 'The key as a QR code' })).toHaveAttribute('src', KEY.picture)
  expect(screen.getByText('ABCD EFGH IJKL MNOP QRST UVWX YZ23 4567')).toBeVisible()
  await userEvent.type(screen.getByLabelText('Code that the app shows'), '999999{Enter}')
  expect(await screen.findByText('Is wrong.')).toBeVisible()
  await userEvent.clear(screen.getByLabelText('Code that the app shows'))
  await userEvent.type(screen.getByLabelText('Code that the app shows'), '123456{Enter}')
  const list = await screen.findByRole('list', { name: 'Recovery codes' })
  expect(
    within(list)
      .getAllByRole('listitem')
      .map((item) => item.textContent),
  ).toEqual(['AAAA-BBBB', 'CCCC-DDDD'])
  expect(readAccessToken()).toBe('of-the-new-session')
  expect(readSession()).toMatchObject({ phase: 'in', mustEnrol: true })
  expect(done).not.toHaveBeenCalled()
  await userEvent.click(screen.getByRole('button', { name: 'I have kept them' }))
  expect(done).toHaveBeenCalledOnce()
})

test('who has one makes new recovery codes or removes it, by password and code', async () => {
  const sent: unknown[] = []
  let factor = aFactor()
  server.use(
    http.get(api('/me/factor'), () => HttpResponse.json(factor)),
    http.get(api('/me/sessions'), () => HttpResponse.json({ items: [], next_cursor: null })),
    http.post(api('/me/factor/recovery-codes'), async ({ request }) => {
      sent.push(await request.json())
      return HttpResponse.json({ codes: ['EEEE-FFFF'] })
    }),
    http.post(api('/me/factor/remove'), async ({ request }) => {
      sent.push(await request.json())
      factor = aFactor({ enrolled_at: null, recovery_codes: 0 })
      return HttpResponse.json({ ...someTokens(), access_token: 'of-the-new-session' })
    }),
  )
  openSession(someTokens())
  show(<FactorSection />)
  expect(await screen.findByText(/7 recovery codes left/)).toBeVisible()
  await userEvent.click(screen.getByRole('button', { name: 'New recovery codes' }))
  await userEvent.type(screen.getByLabelText('Your password'), 'right')
  await userEvent.type(screen.getByLabelText('Code'), '123456{Enter}')
  expect(await screen.findByText('EEEE-FFFF')).toBeVisible()
  await userEvent.click(screen.getByRole('button', { name: 'I have kept them' }))
  await userEvent.click(await screen.findByRole('button', { name: 'Remove' }))
  await userEvent.type(screen.getByLabelText('Your password'), 'right')
  await userEvent.type(screen.getByLabelText('Code'), 'EEEE-FFFF{Enter}')
  expect(await screen.findByRole('form', { name: 'Set up a second factor' })).toBeVisible()
  expect(readAccessToken()).toBe('of-the-new-session')
  expect(sent).toEqual([
    { current: 'right', code: '123456' },
    { current: 'right', code: 'EEEE-FFFF' },
  ])
})

test('who has no password is not offered one', async () => {
  server.use(
    http.get(api('/me/factor'), () => HttpResponse.json(aFactor({ enrolled_at: null, has_password: false }))),
  )
  openSession(someTokens())
  show(<FactorSection />)
  expect(await screen.findByText(/You have no password here/)).toBeVisible()
  expect(screen.queryByRole('form')).toBeNull()
})

test('another password asks for a code where there is a second factor', async () => {
  const sent: unknown[] = []
  server.use(
    http.get(api('/me/factor'), () => HttpResponse.json(aFactor())),
    http.get(api('/me/sessions'), () => HttpResponse.json({ items: [], next_cursor: null })),
    http.post(api('/me/password'), async ({ request }) => {
      sent.push(await request.json())
      return HttpResponse.json(someTokens())
    }),
  )
  show(<PasswordForm email="ada@example.org" />)
  const code = await screen.findByLabelText('Code')
  await userEvent.type(screen.getByLabelText('Present password'), 'right')
  await userEvent.type(screen.getByLabelText('New password'), 'three kettles')
  await userEvent.type(code, '123456{Enter}')
  await waitFor(() => expect(sent).toEqual([{ current: 'right', password: 'three kettles', code: '123456' }]))
})

test('an administrator takes it away from somebody who has one, and from nobody else', async () => {
  const taken = vi.fn()
  server.use(
    http.delete(api('/users/:id/factor'), ({ params }) => {
      taken(params.id)
      return new HttpResponse(null, { status: 204 })
    }),
  )
  const kim = { id: 'kim', name: 'Kim', disabled_at: null, has_factor: true }
  const { unmount } = show(<UserActions person={kim} />)
  await userEvent.click(screen.getByRole('button', { name: 'What to do about Kim' }))
  await userEvent.click(await screen.findByRole('menuitem', { name: 'Take the second factor away' }))
  await waitFor(() => expect(taken).toHaveBeenCalledWith('kim'))
  unmount()
  show(<UserActions person={{ ...kim, has_factor: false }} />)
  await userEvent.click(screen.getByRole('button', { name: 'What to do about Kim' }))
  expect(await screen.findByRole('menuitem', { name: 'Disable' })).toBeVisible()
  expect(screen.queryByRole('menuitem', { name: 'Take the second factor away' })).toBeNull()
})
