import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { OutboxEntry } from '@/api/generated/types.gen'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { Undelivered } from './undelivered'

const ENTRY: OutboxEntry = {
  id: 'entry-1',
  subscription: 'billing',
  project_id: 'project-1',
  run_id: 'run-1',
  seq: 7,
  kind: 'run.failed',
  status: 'dead',
  attempt: 12,
  error: { code: 'refused', message: 'The receiver answered 500.' },
  created_at: '2026-11-22T09:41:07Z',
  next_at: '2026-11-22T09:41:07Z',
  ended_at: '2026-11-22T09:51:07Z',
}

test('an event that was given up says why, and is sent again', async () => {
  let items = [ENTRY]
  server.use(
    http.get(api('/outbox'), () => HttpResponse.json({ items, next_cursor: null })),
    http.post(api('/outbox/entry-1/redrive'), () => {
      items = []
      return HttpResponse.json({ ...ENTRY, status: 'pending' })
    }),
  )
  show(<Undelivered />)
  expect(await screen.findByText('The receiver answered 500.')).toBeVisible()
  await userEvent.click(screen.getByRole('button', { name: 'Send again' }))
  expect(await screen.findByText(/Every event was delivered/)).toBeVisible()
})
