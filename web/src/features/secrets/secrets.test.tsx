import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { SecretDetail } from '@/api/generated/types.gen'
import { Permitted } from '@/features/access/permitted'
import { showAs } from '@/test/as-role'
import { api, server } from '@/test/server'
import { SecretList } from './secret-list'
import { SecretActions, SecretView } from './secret-view'

const SECRET: SecretDetail = {
  id: 'secret-1',
  project: 'weather',
  name: 'mailer',
  reference: 'secret://mailer',
  description: 'Letters',
  latest_version: 2,
  created_at: '2026-11-22T09:41:07Z',
  archived_at: null,
  last_used_at: null,
  workflows: [{ id: 'wf-1', name: 'post', version: 3 }],
}

test('a new version holds from the next call on, and what it holds is not asked back', async () => {
  const bodies: unknown[] = []
  server.use(
    http.post(api('/secrets/secret-1/versions'), async ({ request }) => {
      bodies.push(await request.json())
      return HttpResponse.json({ ...SECRET, latest_version: 3 }, { status: 201 })
    }),
  )
  showAs('owner', <SecretActions secret={SECRET} />)
  await userEvent.click(screen.getByRole('button', { name: 'New version' }))
  await userEvent.click(screen.getByRole('button', { name: 'Put version 3' }))
  expect(screen.getByRole('alert')).toBeVisible()
  await userEvent.type(screen.getByLabelText(/Value/), 'a long value')
  await userEvent.click(screen.getByRole('button', { name: 'Put version 3' }))
  await expect.poll(() => bodies).toEqual([{ value: 'a long value' }])
  expect(screen.queryByRole('dialog')).toBeNull()
})

test('archiving says who is affected and asks first', async () => {
  showAs('owner', <SecretActions secret={SECRET} />)
  await userEvent.click(screen.getByRole('button', { name: 'Archive' }))
  expect(screen.getByRole('dialog', { name: 'Archive mailer?' })).toHaveTextContent('one workflow does')
})

test('a role that may see secrets changes none, and is told which does', async () => {
  showAs('viewer', <SecretActions secret={SECRET} />)
  for (const name of ['Archive', 'New version']) {
    const button = screen.getByRole('button', { name })
    expect(button).toHaveAccessibleDescription(/your role here is viewer, and this takes owner or admin/)
    await userEvent.click(button)
  }
  expect(screen.queryByRole('dialog')).toBeNull()
})

test('a role that may not see secrets is told so, and nothing is asked for', () => {
  server.use(http.get(api('/secrets'), () => expect.unreachable()))
  showAs(
    'operator',
    <Permitted permission="secret:read">
      <SecretList project="weather" archived={false} onNew={() => {}} />
    </Permitted>,
  )
  expect(screen.getByRole('heading', { name: 'Not for your role' })).toBeVisible()
})

test('the page of a secret shows who refers to it and which calls were given it', async () => {
  server.use(
    http.get(api('/secrets/secret-1/versions'), () =>
      HttpResponse.json({
        items: [{ version: 2, created_at: SECRET.created_at, created_by: null, kek_id: 'k-1' }],
        next_cursor: null,
      }),
    ),
    http.get(api('/secrets/secret-1/uses'), () =>
      HttpResponse.json({
        items: [
          {
            id: 'use-1',
            at: SECRET.created_at,
            version: 2,
            run_id: 'run-12345678',
            call_id: 'call-87654321',
          },
        ],
        next_cursor: null,
      }),
    ),
  )
  showAs('viewer', <SecretView project="weather" secret={SECRET} />)
  expect(await screen.findByRole('link', { name: '12345678' })).toHaveAttribute(
    'href',
    expect.stringContaining('/runs/run-12345678'),
  )
  expect(screen.getByRole('link', { name: 'post' })).toBeVisible()
  expect(screen.getByText('An operator, by command')).toBeVisible()
})
