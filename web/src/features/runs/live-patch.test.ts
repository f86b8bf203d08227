import { expect, test } from 'vitest'
import { aCall, anEvent, aRun, aStep } from '@/test/factories'
import { endedCalls, patchCalls, patchRun, patchSteps } from './live-patch'

const told = (seq: number, status: string, attempt = 1) =>
  anEvent(seq, { kind: `step.${status}`, data: { status, attempt } })

test('a step follows its events', () => {
  const [step] = patchSteps(
    [aStep({ status: 'ready', attempt: 0, started_at: null })],
    [told(1, 'running'), told(2, 'succeeded')],
  )
  expect(step).toMatchObject({
    status: 'succeeded',
    attempt: 1,
    started_at: anEvent(1).at,
    finished_at: anEvent(2).at,
  })
})

test('an event that is older than what we know changes nothing', () => {
  expect(patchSteps([aStep({ status: 'succeeded' })], [told(1, 'running')])[0]?.status).toBe('succeeded')
  expect(patchSteps([aStep({ status: 'running', attempt: 2 })], [told(1, 'ready', 1)])[0]?.status).toBe(
    'running',
  )
})

test('a status that we do not know is left to the next answer of the server', () => {
  expect(patchSteps([aStep()], [told(1, 'dreaming')])[0]?.status).toBe('running')
})

test('a run follows its own events only, and only new ones', () => {
  const events = [
    anEvent(4, { kind: 'run.succeeded', step_id: null, data: { status: 'succeeded' } }),
    told(5, 'failed'),
  ]
  expect(patchRun(aRun({ last_seq: 3 }), events)).toMatchObject({ status: 'succeeded', last_seq: 5 })
  expect(patchRun(aRun({ last_seq: 5 }), events).status).toBe('running')
})

test('what an event says of a step is shown at once', () => {
  const ready = [aStep({ status: 'ready', started_at: null })]
  const waiting_for = { kind: 'approval', approval_id: 'a' }
  const [waiting] = patchSteps(ready, [
    anEvent(1, { data: { status: 'running', attempt: 1, started_at: '2026-11-22T09:50:00Z' } }),
    anEvent(2, { kind: 'step.waiting', data: { status: 'waiting', attempt: 1, waiting_for } }),
  ])
  expect(waiting).toMatchObject({ status: 'waiting', waiting_for, started_at: '2026-11-22T09:50:00Z' })
  const error = { code: 'sql-failed', message: 'No such table.' }
  const [failed] = patchSteps(waiting ? [waiting] : [], [
    anEvent(3, { data: { status: 'failed', attempt: 1, error, finished_at: '2026-11-22T09:51:00Z' } }),
  ])
  expect(failed).toMatchObject({ error, waiting_for: null, finished_at: '2026-11-22T09:51:00Z' })
})

const called = (seq: number, status: string, cost_micros = 0) =>
  anEvent(seq, { kind: `call.${status}`, data: { call_id: 'call-1', status, cost_micros } })

test('a call follows its events, and what is over stays over', () => {
  const proposed = [aCall({ status: 'proposed', prepared_at: null, finished_at: null })]
  const done = patchCalls(proposed, [called(1, 'prepared'), called(2, 'done', 420)])
  expect(done[0]).toMatchObject({
    status: 'done',
    cost_micros: 420,
    prepared_at: anEvent(1).at,
    finished_at: anEvent(2).at,
  })
  expect(patchCalls(done, [called(1, 'prepared')])[0]?.status).toBe('done')
})

test('calls that no event is about stay the same list', () => {
  const calls = [aCall({ id: 'call-2' })]
  expect(patchCalls(calls, [called(1, 'done')])).toBe(calls)
})

test('a call has ended when nothing more can come of it', () => {
  expect(endedCalls([called(1, 'prepared'), called(2, 'unknown')])).toEqual([])
  expect(endedCalls([called(3, 'done')])).toEqual(['call-1'])
})
