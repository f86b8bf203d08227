import { expect, test } from 'vitest'
import type { BudgetWindow } from '@/api/generated/types.gen'
import { allows, fullest, percent, share, steps, whom } from './words'

const limits = { money_micros: 1_000_000, tokens: null, calls: 10, runs: null }
const aWindow: BudgetWindow = {
  id: 'w',
  member: null,
  starts_at: null,
  ends_at: null,
  limits,
  spent_micros: 300_000,
  held_micros: 200_000,
  spent_tokens: 7,
  held_tokens: 0,
  calls: 8,
  runs: 0,
  forecast: null,
}

test('the fullest limit counts, with what is held', () => {
  const fill = fullest(aWindow)
  expect(fill?.kind).toBe('calls')
  expect(fill && percent(share(fill))).toBe('80 %')
  expect(fullest({ ...aWindow, calls: 1 })).toMatchObject({ kind: 'money', used: 300_000, held: 200_000 })
})

test('of a limit of nothing everything is too much', () => {
  expect(percent(share({ kind: 'money', limit: 0, used: 1, held: 0 }))).toBe('over')
  expect(share({ kind: 'money', limit: 0, used: 0, held: 0 })).toBe(1)
})

test('nothing goes beyond a limit of which nothing is said', () => {
  expect(steps([{ percent: 80, action: 'notify' }])).toBe('80 % notify, 100 % deny')
  expect(
    steps([
      { percent: 120, action: 'deny' },
      { percent: 100, action: 'require_approval' },
    ]),
  ).toBe('100 % ask a person, 120 % deny')
})

test('a budget says for whom it is and what it allows', () => {
  expect(allows(limits)).toBe('$1.00 and 10 calls')
  expect(whom({ scope: 'user', target: null, project: 'weather' })).toBe('Each person')
  expect(whom({ scope: 'project', target: null, project: null })).toBe('Each project')
  expect(whom({ scope: 'agent', target: { id: 'a', name: 'scout' }, project: 'weather' })).toBe('scout')
})
