import { expect, test } from 'vitest'
import { aRun } from '@/test/factories'
import { splitNew } from './accepted'
import { readBudget } from './budget'
import { parseCsv } from './csv'
import { filterWords, readFilters, writeFilters } from './filters'

test('filters survive the way through the address', () => {
  const filters = { status: ['failed' as const, 'running' as const], workflow: 'weather', q: 'a b' }
  expect(readFilters(writeFilters(filters))).toEqual(filters)
  expect(readFilters(new URLSearchParams('status=nonsense'))).toEqual({ status: [], workflow: '', q: '' })
})

test('each filter can be dropped on its own', () => {
  const words = filterWords({ status: ['failed'], workflow: 'weather', q: '' })
  expect(words.map((one) => one.words)).toEqual(['status Failed', 'workflow weather'])
  expect(words[0]?.without).toEqual({ status: [], workflow: 'weather', q: '' })
})

test('newer runs wait until they are asked for', () => {
  const rows = ['03', '02', '01'].map((id) => aRun({ id }))
  expect(splitNew(rows, '02')).toMatchObject({ newer: 1, shown: [{ id: '02' }, { id: '01' }] })
  expect(splitNew(rows, null).newer).toBe(0)
})

test.each([
  ['', { micros: null }],
  ['0.50', { micros: 500_000 }],
  ['$12', { micros: 12_000_000 }],
  ['0.000001', { micros: 1 }],
])('the budget %j is %j', (text, read) => {
  expect(readBudget(text)).toEqual(read)
})

test.each(['-1', '0', '1e3', 'much', '0.0000001'])('the budget %j is refused', (text) => {
  expect(readBudget(text).error).toBeTruthy()
})

test('a CSV cell may hold commas, quotes and lines', () => {
  expect(parseCsv('a,b\r\n"x, ""y""","1\n2"\n,\n')).toEqual([
    ['a', 'b'],
    ['x, "y"', '1\n2'],
    ['', ''],
  ])
})
