import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test, vi } from 'vitest'
import type { Halt } from '@/api/generated/types.gen'
import { showAs } from '@/test/as-role'
import { api, server } from '@/test/server'
import { ProjectHalts } from './halt-banner'

const STOP: Halt = {
  id: 'h-1',
  kind: 'stop',
  scope: 'project',
  project: 'weather',
  workflow: null,
  reason: 'It spends too much.',
  ordered_by: { id: 'u-1', name: 'Ann' },
  ordered_at: '2026-11-22T09:41:07Z',
  released_by: null,
  released_at: null,
  kept_by_deletion: false,
}

function inForce(halt: Halt) {
  const released = vi.fn()
  server.use(
    http.get(api('/halts'), () => HttpResponse.json({ items: [halt], next_cursor: null })),
    http.post(api('/halts/h-1/release'), () => {
      released()
      return HttpResponse.json(halt)
    }),
  )
  showAs('owner', <ProjectHalts project="weather" />)
  return released
}

test('a stop is released after it was asked for', async () => {
  const released = inForce(STOP)
  await userEvent.click(await screen.findByRole('button', { name: 'Release' }))
  expect(released).not.toHaveBeenCalled()
  await userEvent.click(await screen.findByRole('button', { name: 'Release now' }))
  await vi.waitFor(() => expect(released).toHaveBeenCalledOnce())
})

test('the stop of a project that is to be deleted leads to where that is taken back', async () => {
  inForce({ ...STOP, kept_by_deletion: true })
  const link = await screen.findByRole('link', { name: 'It is to be deleted' })
  expect(link).toHaveAttribute('href', '/p/weather/settings')
  expect(screen.queryByRole('button', { name: 'Release' })).toBeNull()
})
