import type { Row } from './timeline-layout'

export type Interval = { from: number; to: number }
/** A span of time as it is drawn: its gaps, in which nothing but waiting happens, take little room. */
export type Axis = Interval & { gaps: readonly Interval[] }
/** A place on the axis in percent of its width. */
export type Span = { left: number; width: number }

/** A gap is folded when it takes more of the axis than this. */
const FOLDED_FROM = 0.1
/** A pause of seconds is part of the picture. */
const FOLDED_MIN_MS = 5000
/** With less work than this beside them, the gaps are all that there is to see. */
const KEPT_MIN_MS = 500
/** How much of the axis a folded gap keeps. */
const FOLDED_TO = 0.04

/** The span of time that these rows cover, at least one millisecond; null while none has begun. */
export function fitAxis(rows: readonly Row[], now: number): Axis | null {
  let from = Number.POSITIVE_INFINITY
  let to = Number.NEGATIVE_INFINITY
  for (const row of rows) {
    const start = row.queuedFrom ?? row.from
    if (start === null) continue
    from = Math.min(from, start)
    const queues = row.from === null && row.to === null
    to = Math.max(to, row.growing || queues ? now : (row.to ?? row.from ?? start))
  }
  return from <= to ? { from, to: Math.max(to, from + 1), gaps: [] } : null
}

/** The axis with its long gaps folded: times in which none of these rows was at work. */
export function foldGaps(axis: Axis, rows: readonly Row[], now: number): Axis {
  const longest = Math.max(FOLDED_MIN_MS, (axis.to - axis.from) * FOLDED_FROM)
  const gaps: Interval[] = []
  let idleFrom = axis.from
  const idleUntil = (until: number) => {
    const end = Math.min(until, axis.to)
    if (end - idleFrom > longest) gaps.push({ from: idleFrom, to: end })
  }
  for (const work of workOf(rows, now)) {
    idleUntil(work.from)
    idleFrom = Math.max(idleFrom, work.to)
  }
  idleUntil(axis.to)
  const left = axis.to - axis.from - gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0)
  return { ...axis, gaps: left < KEPT_MIN_MS ? [] : gaps }
}

/** When something was at work, in the order of beginning. A step with calls works while its calls do. */
function workOf(rows: readonly Row[], now: number): Interval[] {
  const withCalls = new Set(rows.filter((row) => row.kind === 'call').map((row) => row.stepId))
  const work: Interval[] = []
  for (const row of rows) {
    const end = row.growing ? now : row.to
    if (row.waits || row.from === null || end === null) continue
    if (row.kind === 'step' && withCalls.has(row.id)) {
      // The time before its first and after its last call is work, too; each end counts as a moment.
      work.push({ from: row.from, to: row.from }, { from: end, to: end })
    } else work.push({ from: row.from, to: end })
  }
  return work.sort((a, b) => a.from - b.from)
}

function widths(axis: Axis): { scale: number; gap: number } {
  const folded = axis.gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0)
  const gap = 100 * FOLDED_TO
  return { scale: (100 - gap * axis.gaps.length) / Math.max(1, axis.to - axis.from - folded), gap }
}

/** Where a time lies on the axis, in percent of its width. It may lie outside. */
export function toPercent(axis: Axis, time: number): number {
  const { scale, gap } = widths(axis)
  let percent = (time - axis.from) * scale
  for (const one of axis.gaps) {
    if (time <= one.from) break
    const inside = Math.min(time, one.to) - one.from
    percent += (inside / (one.to - one.from)) * gap - inside * scale
  }
  return percent
}

/** Which time lies at a place of the axis. */
export function atPercent(axis: Axis, percent: number): number {
  const { scale, gap } = widths(axis)
  let time = axis.from
  let left = percent
  for (const one of axis.gaps) {
    const before = (one.from - time) * scale
    if (left <= before) return time + left / scale
    left -= before
    if (left <= gap) return one.from + (left / gap) * (one.to - one.from)
    left -= gap
    time = one.to
  }
  return time + left / scale
}

/** Where a span of time lies on an axis; null when it lies outside. */
export function place(axis: Axis, from: number, to: number): Span | null {
  const left = Math.max(0, toPercent(axis, from))
  const right = Math.min(100, toPercent(axis, to))
  return right < 0 || left > 100 || right < left ? null : { left, width: right - left }
}

/** The hairline of waiting and the bar of working of one row. */
export function placeRow(row: Row, axis: Axis, now: number): { queue: Span | null; bar: Span | null } {
  const end = row.growing ? now : row.to
  const queueEnd = row.from ?? end ?? (row.queuedFrom === null ? null : now)
  return {
    queue: row.queuedFrom === null || queueEnd === null ? null : place(axis, row.queuedFrom, queueEnd),
    bar: row.from === null || end === null ? null : place(axis, row.from, Math.max(row.from, end)),
  }
}

/** Offsets in milliseconds from the start of the run at which the axis is labelled, evenly over its width. */
export function ticks(axis: Axis, origin: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => atPercent(axis, (100 * index) / count) - origin)
}
