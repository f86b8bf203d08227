import { describe, expect, test } from 'vitest'
import { aCall, aStep } from '@/test/factories'
import { atPercent, fitAxis, foldGaps, place, placeRow, ticks, toPercent } from './timeline-axis'
import { callsByStep, layoutRows, type Row } from './timeline-layout'

const at = (seconds: number) => new Date(Date.UTC(2026, 10, 22, 9, 41, seconds)).toISOString()
const ms = (seconds: number) => Date.parse(at(seconds))
const always = () => true
const never = () => false

const done = aStep({ id: 'a', status: 'succeeded', ready_at: at(0), started_at: at(1), finished_at: at(3) })
const running = aStep({ id: 'b', status: 'running', ready_at: at(3), started_at: at(4), finished_at: null })
const pending = aStep({ id: 'c', status: 'pending', ready_at: null, started_at: null, finished_at: null })
const rowsOf = (...steps: Parameters<typeof aStep>[0][]) => layoutRows(steps.map(aStep), new Map(), always)
const only = (rows: Row[]): Row => {
  const [row] = rows
  if (!row) throw new Error('there is no row')
  return row
}

describe('rows', () => {
  test('calls stand below their step in the order they were made', () => {
    const calls = callsByStep([
      aCall({ id: 'y', step_id: 'a', seq: 2 }),
      aCall({ id: 'x', step_id: 'a', seq: 1 }),
    ])
    const rows = layoutRows([done, running], calls, always)
    expect(rows.map((row) => [row.id, row.level, row.expanded])).toEqual([
      ['a', 1, true],
      ['x', 2, null],
      ['y', 2, null],
      ['b', 1, null],
    ])
  })

  test('a folded step keeps its calls to itself', () => {
    const calls = callsByStep([aCall({ step_id: 'a' })])
    expect(layoutRows([done], calls, never).map((row) => row.expanded)).toEqual([false])
  })

  test('what happens to a step shows in the shape of its bar', () => {
    const shapes = (['succeeded', 'running', 'waiting', 'failed', 'uncertain'] as const).map(
      (status) => only(rowsOf({ status, waiting_for: { kind: 'approval' } })).shape,
    )
    expect(shapes).toEqual(['solid', 'open', 'outlined', 'hatched', 'outlined'])
  })

  test('what waits for a time is not at work, and waits for no person', () => {
    const wait = { type: 'wait', status: 'waiting' as const, waiting_for: { kind: 'timer' } }
    expect(only(rowsOf(wait))).toMatchObject({ shape: 'dotted', tone: 'queued', waits: true })
  })

  test('a map that works on its items is at work, and says how far it is', () => {
    const frames = {
      total: 4,
      concurrency: 2,
      stop_on_error: true,
      expanded: 4,
      started: 3,
      ended: 2,
      failed: 1,
    }
    const map = {
      type: 'map',
      name: null,
      status: 'waiting' as const,
      waiting_for: { kind: 'frames' },
      frames,
    }
    expect(only(rowsOf(map))).toMatchObject({
      about: 'map 2 of 4, 1 failed',
      tone: 'running',
      waits: false,
      progress: { ended: 0.5, failed: 0.25 },
    })
  })

  test('a denied call was never sent: its bar is the moment of the decision', () => {
    const call = aCall({ status: 'denied', proposed_at: at(2), prepared_at: null, finished_at: null })
    const [, row] = layoutRows([aStep()], callsByStep([call]), always)
    expect(row).toMatchObject({ shape: 'hollow', from: ms(2), to: ms(2), growing: false })
  })
})

describe('the axis', () => {
  test('fits the rows, and grows with what is under way', () => {
    const rows = layoutRows([done, running, pending], new Map(), always)
    expect(fitAxis(rows, ms(9))).toMatchObject({ from: ms(0), to: ms(9) })
    expect(fitAxis(rows.slice(0, 1), ms(9))).toMatchObject({ from: ms(0), to: ms(3) })
  })

  test('is missing while nothing has begun, and never empty', () => {
    expect(fitAxis(layoutRows([pending], new Map(), always), ms(9))).toBeNull()
    const instant = rowsOf({ status: 'succeeded', ready_at: at(1), started_at: at(1), finished_at: at(1) })
    expect(fitAxis(instant, ms(9))).toMatchObject({ from: ms(1), to: ms(1) + 1 })
  })

  test('is labelled with the time since the run began', () => {
    expect(ticks({ from: ms(2), to: ms(12), gaps: [] }, ms(0), 5)).toEqual([2000, 4000, 6000, 8000, 10_000])
  })
})

describe('places', () => {
  const axis = { from: ms(0), to: ms(10), gaps: [] }

  test('the hairline ends where the bar begins', () => {
    expect(placeRow(only(layoutRows([done], new Map(), always)), axis, ms(9))).toEqual({
      queue: { left: 0, width: 10 },
      bar: { left: 10, width: 20 },
    })
  })

  test('a running bar reaches up to now', () => {
    expect(placeRow(only(layoutRows([running], new Map(), always)), axis, ms(9)).bar).toEqual({
      left: 40,
      width: 50,
    })
  })

  test('a queued step has a hairline up to now and no bar', () => {
    const queued = only(rowsOf({ status: 'ready', ready_at: at(5), started_at: null }))
    expect(placeRow(queued, axis, ms(10))).toEqual({ queue: { left: 50, width: 50 }, bar: null })
  })

  test('what lies outside is cut off or left out', () => {
    expect(place(axis, ms(-10), ms(5))).toEqual({ left: 0, width: 50 })
    expect(place(axis, ms(20), ms(30))).toBeNull()
  })
})

describe('folded gaps', () => {
  const consent = {
    id: 'w',
    type: 'approval',
    status: 'waiting' as const,
    ready_at: at(10),
    started_at: at(10),
  }
  const before = {
    id: 'b',
    status: 'succeeded' as const,
    ready_at: at(0),
    started_at: at(0),
    finished_at: at(10),
  }
  const after = {
    id: 'n',
    status: 'succeeded' as const,
    ready_at: at(50),
    started_at: at(50),
    finished_at: at(59),
  }
  const rows = rowsOf(before, consent, after)
  const axis = foldGaps({ from: ms(0), to: ms(59), gaps: [] }, rows, ms(59))

  test('waiting for a person makes room for the work', () => {
    expect(axis.gaps).toEqual([{ from: ms(10), to: ms(50) }])
    expect(toPercent(axis, ms(50)) - toPercent(axis, ms(10))).toBeCloseTo(4)
    expect(toPercent(axis, ms(59))).toBeCloseTo(100)
  })

  test('places lead to times and back', () => {
    for (const second of [0, 5, 10, 30, 50, 55, 59]) {
      expect(atPercent(axis, toPercent(axis, ms(second)))).toBeCloseTo(ms(second), 3)
    }
  })

  test('a gap at the end is folded while it grows', () => {
    const open = foldGaps({ from: ms(0), to: ms(59), gaps: [] }, rowsOf(before, consent), ms(59))
    expect(open.gaps).toEqual([{ from: ms(10), to: ms(59) }])
  })

  test('an agent that waits between its calls does not hide the gap', () => {
    const agent = aStep({
      id: 'g',
      status: 'succeeded',
      ready_at: at(0),
      started_at: at(0),
      finished_at: at(59),
    })
    const call = (seq: number, from: number, to: number) =>
      aCall({
        id: `c${seq}`,
        step_id: 'g',
        seq,
        proposed_at: at(from),
        prepared_at: at(from),
        finished_at: at(to),
      })
    const both = layoutRows([agent], callsByStep([call(1, 0, 10), call(2, 50, 59)]), always)
    expect(foldGaps({ from: ms(0), to: ms(59), gaps: [] }, both, ms(59)).gaps).toEqual([
      { from: ms(10), to: ms(50) },
    ])
  })

  test('short pauses stay as they are', () => {
    const close = rowsOf(before, { ...after, started_at: at(12), finished_at: at(59) })
    expect(foldGaps({ from: ms(0), to: ms(59), gaps: [] }, close, ms(59)).gaps).toEqual([])
  })
})
