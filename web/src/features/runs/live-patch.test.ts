import { expect, test } from 'vitest'
import { anEvent, aRun, aStep } from '@/test/factories'
import { patchRun, patchSteps } from './live-patch'

const told = (seq: number, status: string, attempt = 1) => anEvent(seq, { kind: `step.${status}`, data: { status, attempt } })

test('a step follows its events', () => {
  const [step] = patchSteps([aStep({ status: 'ready', attempt: 0, started_at: null })], [
    told(1, 'running'),
    told(2, 'succeeded'),
  ])
  expect(step).toMatchObject({ status: 'succeeded', attempt: 1, started_at: anEvent(1).at, finished_at: anEvent(2).at })
})

test('an event that is older than what we know changes nothing', () => {
  expect(patchSteps([aStep({ status: 'succeeded' })], [told(1, 'running')])[0]?.status).toBe('succeeded')
  expect(patchSteps([aStep({ status: 'running', attempt: 2 })], [told(1, 'ready', 1)])[0]?.status).toBe('running')
})

test('a status that we do not know is left to the next answer of the server', () => {
  expect(patchSteps([aStep()], [told(1, 'dreaming')])[0]?.status).toBe('running')
})

test('a run follows its own events only, and only new ones', () => {
  const events = [anEvent(4, { kind: 'run.succeeded', step_id: null, data: { status: 'succeeded' } }), told(5, 'failed')]
  expect(patchRun(aRun({ last_seq: 3 }), events)).toMatchObject({ status: 'succeeded', last_seq: 5 })
  expect(patchRun(aRun({ last_seq: 5 }), events).status).toBe('running')
})
