import { expect, test } from 'vitest'
import type { Flip } from '@/api/generated/types.gen'
import { flipsAsCsv } from './flips-csv'

test('commas and quotes stay in their cells, and nothing is a formula', () => {
  const flip = { change: 'newly_denied', reason: 'no, "never"', new_rule: '=1+1' } as Flip
  expect(flipsAsCsv([flip]).split('\r\n')[1]).toBe(`newly_denied,,,,,,,,'=1+1,"no, ""never""",,,`)
})
