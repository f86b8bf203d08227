import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { ApiKey, ServiceAccount } from '@/api/generated/types.gen'
import { showAs } from '@/test/as-role'
import { api, server } from '@/test/server'
import { AccountView } from './account-view'

const ACCOUNT: ServiceAccount = {
  id: 'account-1',
  name: 'deployer',
  role: 'developer',
  disabled_at: null,
  created_at: '2026-11-22T09:41:07Z',
}
const KEY: ApiKey = {
  id: 'key-1',
  name: 'pipeline',
  prefix: 'spk_AbCdEfGhIjKl',
  status: 'active',
  scopes: ['run:create'],
  projects: ['weather'],
  created_at: ACCOUNT.created_at,
  expires_at: null,
  last_used_at: null,
  last_used_from: null,
  revoked_at: null,
}

function serve(changes: unknown[] = []) {
  server.use(
    http.get(api('/projects/weather/service-accounts/account-1/keys'), () =>
      HttpResponse.json({ items: [KEY], next_cursor: null }),
    ),
    http.get(api('/projects/weather/service-accounts'), () => HttpResponse.json({ items: [ACCOUNT] })),
    http.patch(api('/projects/weather/service-accounts/account-1'), async ({ request }) => {
      changes.push(await request.json())
      return HttpResponse.json({ ...ACCOUNT, disabled_at: ACCOUNT.created_at })
    }),
  )
}

test('an owner disables an account', async () => {
  const changes: unknown[] = []
  serve(changes)
  showAs('owner', <AccountView project="weather" account={ACCOUNT} />)
  await userEvent.click(screen.getByRole('button', { name: 'Disable' }))
  await expect.poll(() => changes).toEqual([{ disabled: true }])
})

test('who may not manage accounts sees their keys, and why nothing can be changed', async () => {
  const changes: unknown[] = []
  serve(changes)
  showAs('viewer', <AccountView project="weather" account={ACCOUNT} />)
  await screen.findByText('pipeline')
  expect(screen.getByRole('combobox', { name: 'Role' })).toBeDisabled()
  for (const name of ['Disable', 'New key', 'Revoke pipeline']) {
    const button = screen.getByRole('button', { name })
    expect(button).toHaveAccessibleDescription(/this takes owner or admin/)
    await userEvent.click(button)
  }
  expect(screen.queryByRole('dialog')).toBeNull()
  expect(changes).toEqual([])
})
