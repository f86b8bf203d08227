import { describe, expect, test } from 'vitest'
import {
  elapsedMs,
  formatBytes,
  formatCount,
  formatDuration,
  formatMoney,
  formatOffset,
  formatRelative,
  plural,
} from './format'

describe('durations', () => {
  test.each([
    [null, '–'],
    [-5, '0 ms'],
    [574, '574 ms'],
    [999.6, '1.0 s'],
    [1300, '1.3 s'],
    [59_949, '59.9 s'],
    [59_950, '1m 00s'],
    [724_000, '12m 04s'],
    [3_599_600, '1h 00m'],
    [5_970_000, '1h 39m'],
    [90_000_000, '1d 01h'],
  ])('%s ms reads %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test('what has not ended is measured up to now', () => {
    const at = '2026-11-22T09:41:07Z'
    expect(elapsedMs(at, null, Date.parse(at) + 1500)).toBe(1500)
    expect(elapsedMs(null, null, 0)).toBeNull()
  })

  test('offsets begin at nothing', () => {
    expect(formatOffset(0)).toBe('+0 s')
    expect(formatOffset(41_700)).toBe('+41.7 s')
  })
})

describe('money', () => {
  test.each([
    [0, '$0'],
    [20, '<$0.0001'],
    [200, '$0.0002'],
    [8500, '$0.0085'],
    [500_000, '$0.50'],
    [74_800_000, '$74.80'],
    [1_204_000_000, '$1,204.00'],
    [-500_000, '-$0.50'],
  ])('%s micros read %s', (micros, text) => {
    expect(formatMoney(micros)).toBe(text)
  })
})

test('counts and sizes are short', () => {
  expect([812, 4100, 41_000, 1_200_000].map(formatCount)).toEqual(['812', '4.1k', '41k', '1.2M'])
  expect([318, 4200, 1_300_000].map(formatBytes)).toEqual(['318 B', '4.2 kB', '1.3 MB'])
  expect([plural(1, 'step'), plural(2000, 'step')]).toEqual(['1 step', '2,000 steps'])
})

test('times are told by their distance, in both directions', () => {
  const now = Date.parse('2026-11-22T12:00:00Z')
  const told = (seconds: number) => formatRelative(new Date(now + seconds * 1000).toISOString(), now)
  expect([-2, -45, -720, -7200, -200_000, 10_800].map(told)).toEqual([
    'just now',
    '45 s ago',
    '12 min ago',
    '2 h ago',
    '2 d ago',
    'in 3 h',
  ])
  // A page's clock may be some seconds old.
  expect([5, 10, 30].map(told)).toEqual(['just now', 'just now', 'in 30 s'])
})
