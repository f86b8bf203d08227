import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test, vi } from 'vitest'
import { aProblem } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { HaltDialog } from './halt-dialog'
import type { Switch } from './halt-words'
import { readLimit } from './limit'

const STOP: Switch = { kind: 'stop', target: { scope: 'project', project: 'weather' } }

function open(order: Switch, status = 201) {
  const sent: unknown[] = []
  server.use(
    http.post(api('/halts'), async ({ request }) => {
      sent.push(await request.json())
      return status === 201
        ? HttpResponse.json({ id: 'h' }, { status })
        : HttpResponse.json(aProblem(status, 'unavailable', 'It is not in force; order it again.'), {
            status,
          })
    }),
  )
  const onOpenChange = vi.fn()
  show(<HaltDialog order={order} open onOpenChange={onOpenChange} />)
  return { sent, onOpenChange }
}

test('a stop needs a reason and the name of what it stops', async () => {
  const { sent, onOpenChange } = open(STOP)
  await userEvent.click(screen.getByRole('button', { name: 'Stop now' }))
  expect(screen.getAllByRole('alert')).toHaveLength(2)
  await userEvent.type(screen.getByLabelText(/Reason/), 'It spends too much.')
  await userEvent.type(screen.getByLabelText(/to confirm/), 'wether')
  await userEvent.click(screen.getByRole('button', { name: 'Stop now' }))
  expect(sent).toEqual([])
  await userEvent.clear(screen.getByLabelText(/to confirm/))
  await userEvent.type(screen.getByLabelText(/to confirm/), 'weather')
  await userEvent.click(screen.getByRole('button', { name: 'Stop now' }))
  await vi.waitFor(() => expect(onOpenChange).toHaveBeenCalledWith(false))
  expect(sent).toEqual([
    { kind: 'stop', scope: 'project', project: 'weather', reason: 'It spends too much.' },
  ])
})

test('a stop that is not in force is told, and the dialog stays', async () => {
  const { onOpenChange } = open(STOP, 503)
  await userEvent.type(screen.getByLabelText(/Reason/), 'Now.')
  await userEvent.type(screen.getByLabelText(/to confirm/), 'weather')
  await userEvent.click(screen.getByRole('button', { name: 'Stop now' }))
  expect(await screen.findByText('It is not in force; order it again.')).toBeVisible()
  expect(onOpenChange).not.toHaveBeenCalled()
})

test('a pause needs a reason only', async () => {
  const { sent } = open({ kind: 'pause', target: { scope: 'workflow', id: 'wf-1', name: 'report' } })
  await userEvent.type(screen.getByLabelText(/Reason/), 'Maintenance')
  await userEvent.click(screen.getByRole('button', { name: 'Pause now' }))
  await vi.waitFor(() =>
    expect(sent).toEqual([{ kind: 'pause', scope: 'workflow', workflow_id: 'wf-1', reason: 'Maintenance' }]),
  )
})

test.each([
  ['', null],
  [' 12 ', 12],
  ['10000', 10_000],
])('the limit %j is %j', (text, limit) => expect(readLimit(text)).toEqual({ limit }))

test.each(['0', '-1', '1.5', '10001', 'many'])('the limit %j is refused', (text) => {
  expect(readLimit(text).error).toBeTruthy()
})
