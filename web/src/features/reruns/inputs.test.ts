import { expect, test } from 'vitest'
import { changedInputs } from './inputs'

test('inputs are compared by name, and one that is new or gone has changed', () => {
  expect(changedInputs({ a: 1, b: [1], c: 1 }, { a: 1, b: [2], d: 1 })).toEqual(['b', 'c', 'd'])
  expect(changedInputs(null, null)).toEqual([])
})
