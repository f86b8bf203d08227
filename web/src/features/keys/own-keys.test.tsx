import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { ApiKey, Me } from '@/api/generated/types.gen'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { OwnKeys } from './own-keys'

const ME: Me = {
  user: { id: 'u', email: 'ann@example.com', name: 'Ann', is_admin: false },
  projects: [
    {
      id: 'p',
      slug: 'weather',
      name: 'Weather',
      role: 'developer',
      max_running_runs: null,
      default_effect: 'allow',
      time_zone: 'UTC',
      keep_runs_days: null,
      keep_log_days: null,
      keep_values_days: null,
      created_at: '2026-11-22T09:41:07Z',
    },
  ],
  may_create_projects: false,
}
const KEY: ApiKey = {
  id: 'k1',
  name: 'ci',
  prefix: 'spk_AbCdEfGhIjKl',
  status: 'active',
  scopes: ['run:create'],
  projects: ['weather'],
  created_at: '2026-11-22T09:41:07Z',
  expires_at: null,
  last_used_at: null,
  last_used_from: null,
  revoked_at: null,
}

function serve(keys: ApiKey[], received: unknown[] = []) {
  server.use(
    http.get(api('/me'), () => HttpResponse.json(ME)),
    http.get(api('/api-keys'), () => HttpResponse.json({ items: keys, next_cursor: null })),
    http.get(api('/api-keys/scopes'), () =>
      HttpResponse.json({
        items: [
          { scope: 'run:create', description: 'Start runs', roles: ['owner', 'developer'] },
          { scope: 'member:manage', description: 'Manage members', roles: ['owner'] },
        ],
      }),
    ),
    http.post(api('/api-keys'), async ({ request }) => {
      received.push(await request.json())
      return HttpResponse.json({ ...KEY, key: 'spk_AbCdEfGhIjKl_secret' }, { status: 201 })
    }),
    http.post(api('/api-keys/k1/revoke'), () => {
      received.push('revoked')
      keys[0] = { ...KEY, status: 'revoked', revoked_at: '2026-11-23T09:41:07Z' }
      return HttpResponse.json(keys[0])
    }),
  )
}

test('a key is made for what was chosen, and shown until it was kept', async () => {
  const received: unknown[] = []
  serve([], received)
  show(<OwnKeys />)
  const [button] = await screen.findAllByRole('button', { name: 'New key' })
  await userEvent.click(button as HTMLElement)
  const dialog = await screen.findByRole('dialog')
  await userEvent.click(await within(dialog).findByRole('button', { name: 'Make key' }))
  expect(within(dialog).getAllByRole('alert')).toHaveLength(2)
  expect(received).toEqual([])

  await userEvent.type(within(dialog).getByLabelText('Name'), 'ci')
  await userEvent.click(within(dialog).getByLabelText(/Start runs/))
  expect(within(dialog).queryByLabelText(/Manage members/)).toBeNull()
  await userEvent.click(within(dialog).getByRole('button', { name: 'Make key' }))

  expect(await within(dialog).findByText('spk_AbCdEfGhIjKl_secret')).toBeVisible()
  expect(received).toEqual([
    { name: 'ci', scopes: ['run:create'], projects: ['weather'], expires_in_days: 90 },
  ])
  await userEvent.click(within(dialog).getByRole('button', { name: 'I have kept it' }))
  expect(screen.queryByText('spk_AbCdEfGhIjKl_secret')).toBeNull()
})

test('a key whose projects are gone is told from one that reaches some', async () => {
  serve([{ ...KEY, projects: [], status: 'revoked', revoked_at: '2026-11-23T09:41:07Z' }])
  show(<OwnKeys />)
  const row = await screen.findByRole('row', { name: /ci/ })
  expect(within(row).getByText('None')).toBeVisible()
  expect(within(row).getByText('Revoked')).toBeVisible()
})

test('a key is revoked after it was asked for', async () => {
  const received: unknown[] = []
  serve([KEY], received)
  show(<OwnKeys />)
  await userEvent.click(await screen.findByRole('button', { name: 'Revoke ci' }))
  expect(received).toEqual([])
  await userEvent.click(await screen.findByRole('button', { name: 'Revoke key' }))
  expect(await screen.findByText('Revoked')).toBeVisible()
  expect(received).toEqual(['revoked'])
})
