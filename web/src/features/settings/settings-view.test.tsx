import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { Deletion, Project, Role } from '@/api/generated/types.gen'
import { aProject, showAs } from '@/test/as-role'
import { api, server } from '@/test/server'
import { delayWords, readDays } from './days'
import { SettingsView } from './settings-view'

const DELETION: Deletion = {
  id: 'd-1',
  status: 'asked',
  reason: 'the trial is over',
  asked_by: { id: 'u-1', name: 'Ann' },
  asked_at: '2026-11-20T10:00:00Z',
  due_at: '2026-11-27T10:00:00Z',
  cancelled_by: null,
  cancelled_at: null,
}
const WEEK = 604_800

function open(role: Role = 'owner', deletion: Deletion | null = null) {
  const sent: [string, unknown][] = []
  let found = aProject(role, { keep_runs_days: 90 })
  let state = { deletion, delay_seconds: WEEK }
  server.use(
    http.get(api('/projects/weather'), () => HttpResponse.json(found)),
    http.patch(api('/projects/weather'), async ({ request }) => {
      const body = (await request.json()) as Partial<Project>
      sent.push(['PATCH', body])
      found = { ...found, ...body }
      return HttpResponse.json(found)
    }),
    http.get(api('/projects/weather/deletion'), () => HttpResponse.json(state)),
    http.post(api('/projects/weather/deletion'), async ({ request }) => {
      sent.push(['ask', await request.json()])
      state = { ...state, deletion: DELETION }
      return HttpResponse.json(state, { status: 201 })
    }),
    http.post(api('/projects/weather/deletion/cancel'), () => {
      sent.push(['cancel', null])
      state = { ...state, deletion: { ...DELETION, status: 'cancelled' } }
      return HttpResponse.json(state)
    }),
  )
  showAs(role, <SettingsView project="weather" />)
  return sent
}

test('an owner sets how long things are kept; empty means for ever', async () => {
  const sent = open()
  const runs = await screen.findByLabelText('Runs')
  expect(runs).toHaveValue('90')
  await userEvent.clear(runs)
  await userEvent.type(screen.getByLabelText('Logs'), '30')
  await userEvent.type(screen.getByLabelText('Values and files'), '0')
  await userEvent.click(screen.getByRole('button', { name: 'Save' }))
  expect(screen.getByRole('alert')).toHaveTextContent('whole number from 1')
  expect(sent).toEqual([])
  await userEvent.clear(screen.getByLabelText('Values and files'))
  await userEvent.type(screen.getByLabelText('Values and files'), '7')
  await userEvent.click(screen.getByRole('button', { name: 'Save' }))
  await waitFor(() =>
    expect(sent).toEqual([['PATCH', { keep_runs_days: null, keep_log_days: 30, keep_values_days: 7 }]]),
  )
})

test('a deletion needs a reason and the name, and can be taken back', async () => {
  const sent = open()
  await userEvent.click(await screen.findByRole('button', { name: 'Delete project' }))
  const dialog = await screen.findByRole('dialog')
  expect(dialog).toHaveTextContent('are removed in 7 days')
  const button = () => screen.getAllByRole('button', { name: 'Delete project' }).at(-1) as HTMLElement
  await userEvent.click(button())
  expect(screen.getAllByRole('alert')).toHaveLength(2)
  await userEvent.type(screen.getByLabelText(/Reason/), 'the trial is over')
  await userEvent.type(screen.getByLabelText(/to confirm/), 'weather')
  await userEvent.click(button())
  expect(await screen.findByText(/All data is removed/)).toBeVisible()
  await userEvent.click(screen.getByRole('button', { name: 'Keep the project' }))
  expect(await screen.findByRole('button', { name: 'Delete project' })).toBeVisible()
  expect(sent).toEqual([
    ['ask', { slug: 'weather', reason: 'the trial is over' }],
    ['cancel', null],
  ])
})

test('who may not is told who does', async () => {
  const sent = open('viewer', DELETION)
  const keep = await screen.findByRole('button', { name: 'Keep the project' })
  expect(keep).toHaveAccessibleDescription(/this takes owner/)
  expect(screen.getByRole('button', { name: 'Save' })).toHaveAccessibleDescription(/owner or admin/)
  expect(screen.getByLabelText('Runs')).toBeDisabled()
  await userEvent.click(keep)
  await userEvent.click(screen.getByRole('button', { name: 'Save' }))
  expect(sent).toEqual([])
})

test('days and delays are read and told', () => {
  expect(readDays(' 30 ')).toEqual({ days: 30 })
  expect(readDays('')).toEqual({ days: null })
  for (const wrong of ['0', '-1', '1.5', '36501', 'many']) expect(readDays(wrong).error).toBeDefined()
  expect(delayWords(WEEK)).toBe('in 7 days')
  expect(delayWords(86_400)).toBe('in 1 day')
  expect(delayWords(7_200)).toBe('in 2 hours')
  expect(delayWords(0)).toBe('at once')
})
