import { expect, test } from 'vitest'
import { sinceOf } from './span'

test('a span begins at a whole minute, and what is no span does not begin', () => {
  expect(sinceOf('hour', Date.parse('2026-11-22T09:41:07Z'))).toBe('2026-11-22T08:41:00.000Z')
  expect(sinceOf('', 0)).toBe('')
})
