import { expect, test } from 'vitest'
import { aPlannedStep } from '@/test/factories'
import { calledAnew, changedInputs, sumUp, withChanges } from './fates'

const outline = [
  { id: 'fetch', needs: [] },
  { id: 'read', needs: ['fetch'] },
  { id: 'other', needs: [] },
]
const steps = [
  aPlannedStep({ key: 'read', cost_micros: 5 }),
  aPlannedStep({ key: 'fetch', inputs: ['city'], cost_micros: 3 }),
  aPlannedStep({ key: 'other', inputs: ['year'], cost_micros: 1 }),
]

test('inputs are compared by name, and one that is new or gone has changed', () => {
  expect(changedInputs({ a: 1, b: [1], c: 1 }, { a: 1, b: [2], d: 1 })).toEqual(['b', 'c', 'd'])
  expect(changedInputs(null, null)).toEqual([])
})

test('a step that reads a changed input runs again, with all that needs it, in whatever order they stand', () => {
  const found = withChanges(steps, ['city'], outline)
  expect(found.map((step) => [step.key, step.kept, step.why])).toEqual([
    ['read', false, 'behind'],
    ['fetch', false, 'input'],
    ['other', true, null],
  ])
  expect(found[0]?.explanation).toContain('fetch')
})

test('what only the changed input makes run again is named if it made calls', () => {
  const calling = steps.map((step) => ({ ...step, calls: step.key === 'read' ? 0 : 2 }))
  const changed = withChanges(calling, ['city'], outline)
  expect(calledAnew(calling, changed).map((step) => step.key)).toEqual(['fetch'])
})

test('without a change the plan is the one of the server', () => {
  expect(withChanges(steps, [], outline)).toEqual(steps)
})

test('what is kept and what runs again is added up with what it cost', () => {
  expect(sumUp(withChanges(steps, ['city'], outline))).toEqual({
    kept: 1,
    keptMicros: 1,
    again: 2,
    againMicros: 8,
    keptCalls: 0,
  })
})
