import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test, vi } from 'vitest'
import { aProblem, aRun, aWorkflow } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { RunForm } from './run-form'

const YEAR = {
  type: 'object',
  required: ['city'],
  properties: {
    city: { type: 'string' },
    year: { type: 'integer', minimum: 2012, default: 2015, description: 'From 2012 on.' },
    dry: { type: 'boolean' },
  },
}

/** Answers POST /runs with these answers in turn, and keeps what was sent. */
function serve(...answers: Array<() => Response>) {
  const sent: Array<{ body: unknown; key: string | null }> = []
  server.use(
    http.post(api('/runs'), async ({ request }) => {
      sent.push({ body: await request.json(), key: request.headers.get('idempotency-key') })
      return answers[Math.min(sent.length, answers.length) - 1]?.() ?? HttpResponse.error()
    }),
  )
  return sent
}

const started = () => HttpResponse.json(aRun(), { status: 201 })

function open(schema: Record<string, unknown> | null) {
  const onStarted = vi.fn()
  show(<RunForm workflow={aWorkflow(schema)} onClose={() => {}} onStarted={onStarted} />)
  return onStarted
}

test('fields come from the schema, and the input is sent with its types', async () => {
  const sent = serve(started)
  const onStarted = open(YEAR)
  expect(screen.getByLabelText('year')).toHaveValue('2015')
  expect(screen.getByLabelText('year')).toHaveAccessibleDescription('From 2012 on.')
  await userEvent.type(screen.getByLabelText(/city/), 'Seattle')
  await userEvent.click(screen.getByLabelText('dry'))
  await userEvent.click(screen.getByRole('button', { name: 'Start run' }))
  expect(sent[0]?.body).toEqual({
    project: 'weather',
    workflow: 'weather-report',
    version: 3,
    input: { city: 'Seattle', year: 2015, dry: true },
    budget_micros: null,
  })
  expect(onStarted).toHaveBeenCalledOnce()
})

test('what is wrong is shown at its field, and nothing is sent', async () => {
  const sent = serve(started)
  open(YEAR)
  await userEvent.clear(screen.getByLabelText('year'))
  await userEvent.type(screen.getByLabelText('year'), '1990')
  await userEvent.click(screen.getByRole('button', { name: 'Start run' }))
  expect(screen.getByLabelText(/city/)).toHaveAccessibleDescription('This is required.')
  expect(screen.getByLabelText('year')).toHaveAccessibleDescription(/This must be at least 2012\./)
  expect(sent).toEqual([])
})

test('what the server finds wrong is shown at its field, too', async () => {
  const errors = [{ path: 'input.city', message: 'There is no such city' }]
  serve(() =>
    HttpResponse.json(aProblem(422, 'input-invalid', 'It does not fit', { errors }), { status: 422 }),
  )
  open(YEAR)
  await userEvent.type(screen.getByLabelText(/city/), 'Nowhere')
  await userEvent.click(screen.getByRole('button', { name: 'Start run' }))
  expect(await screen.findByText('There is no such city')).toBeVisible()
  expect(screen.getByLabelText(/city/)).toBeInvalid()
})

test('a second try with the same input has the same key; another input has another', async () => {
  const failed = () =>
    HttpResponse.json(aProblem(503, 'unavailable', 'The database is away.'), { status: 503 })
  const sent = serve(failed, failed, started)
  open(YEAR)
  const start = screen.getByRole('button', { name: 'Start run' })
  await userEvent.type(screen.getByLabelText(/city/), 'Rome')
  await userEvent.click(start)
  expect(await screen.findByText('The database is away.')).toBeVisible()
  await userEvent.click(start)
  await userEvent.type(screen.getByLabelText(/city/), 's')
  await userEvent.click(start)
  const [first, second, third] = sent.map((one) => one.key)
  expect(first).toBeTruthy()
  expect(second).toBe(first)
  expect(third).not.toBe(first)
})

test('a workflow without input can be run', async () => {
  const sent = serve(started)
  open(null)
  expect(screen.getByText('This workflow takes no input.')).toBeVisible()
  await userEvent.click(screen.getByRole('button', { name: 'Start run' }))
  expect(sent).toHaveLength(1)
})
