import type { Call, CallStatus, Step, StepStatus } from '@/api/generated/types.gen'
import { CALL_FACE, STEP_FACE } from '@/components/faces'
import type { Tone } from '@/components/glyph'

/** How a bar is drawn: `open` is under way, `hollow` waits for a person or was denied, `hatched` failed. */
export type BarShape = 'solid' | 'open' | 'outlined' | 'hatched' | 'hollow'

/** One row of the timeline. Times are milliseconds of the epoch; null: has not come yet. */
export type Row = {
  id: string
  kind: 'step' | 'call'
  stepId: string
  level: 1 | 2
  name: string
  /** What it is, or what it uses: `agent analyst`, `llm`. */
  about: string
  tone: Tone
  label: string
  queuedFrom: number | null
  from: number | null
  to: number | null
  /** Whether the bar grows with the clock. */
  growing: boolean
  shape: BarShape
  costMicros: number
  expanded: boolean | null
}

export type Axis = { from: number; to: number }

const AT_WORK: ReadonlySet<StepStatus> = new Set<StepStatus>(['running', 'waiting', 'uncertain'])
const CALL_AT_WORK: ReadonlySet<CallStatus> = new Set<CallStatus>(['prepared', 'waiting_approval', 'unknown'])

const time = (at: string | null): number | null => (at === null ? null : Date.parse(at))

function shapeOf(tone: Tone): BarShape {
  switch (tone) {
    case 'running':
      return 'open'
    case 'waiting':
      return 'outlined'
    case 'failed':
      return 'hatched'
    case 'denied':
      return 'hollow'
    default:
      return 'solid'
  }
}

function stepRow(step: Step, expanded: boolean | null): Row {
  const face = STEP_FACE[step.status]
  return {
    id: step.id,
    kind: 'step',
    stepId: step.id,
    level: 1,
    name: step.key,
    about: step.name === null ? step.type : `${step.type} ${step.name}`,
    tone: face.tone,
    label: face.label,
    queuedFrom: time(step.ready_at),
    from: time(step.started_at),
    to: time(step.finished_at),
    growing: AT_WORK.has(step.status),
    shape: shapeOf(face.tone),
    costMicros: step.cost_micros,
    expanded,
  }
}

function callRow(call: Call): Row {
  const face = CALL_FACE[call.status]
  const atWork = CALL_AT_WORK.has(call.status)
  // A call that was never sent has its decision as its bar.
  const sent = time(call.prepared_at) ?? time(call.proposed_at)
  return {
    id: call.id,
    kind: 'call',
    stepId: call.step_id,
    level: 2,
    name: call.name,
    about: call.kind,
    tone: face.tone,
    label: face.label,
    queuedFrom: time(call.proposed_at),
    from: sent,
    to: time(call.finished_at) ?? (atWork ? null : sent),
    growing: atWork,
    shape: shapeOf(face.tone),
    costMicros: call.cost_micros,
    expanded: null,
  }
}

export function callsByStep(calls: readonly Call[]): ReadonlyMap<string, Call[]> {
  const map = new Map<string, Call[]>()
  for (const call of calls) {
    const list = map.get(call.step_id)
    if (list) list.push(call)
    else map.set(call.step_id, [call])
  }
  for (const list of map.values()) list.sort((a, b) => a.seq - b.seq)
  return map
}

/** The rows in the order of the workflow, with the calls of each unfolded step below it. */
export function layoutRows(
  steps: readonly Step[],
  calls: ReadonlyMap<string, readonly Call[]>,
  isExpanded: (step: Step) => boolean,
): Row[] {
  const rows: Row[] = []
  for (const step of steps) {
    const own = calls.get(step.id) ?? []
    const expanded = own.length > 0 ? isExpanded(step) : null
    rows.push(stepRow(step, expanded))
    if (expanded) for (const call of own) rows.push(callRow(call))
  }
  return rows
}

/** The span of time that these rows cover, at least one millisecond; null while none has begun. */
export function fitAxis(rows: readonly Row[], now: number): Axis | null {
  let from = Number.POSITIVE_INFINITY
  let to = Number.NEGATIVE_INFINITY
  for (const row of rows) {
    const start = row.queuedFrom ?? row.from
    if (start === null) continue
    from = Math.min(from, start)
    to = Math.max(to, row.growing ? now : (row.to ?? row.from ?? start))
  }
  return from <= to ? { from, to: Math.max(to, from + 1) } : null
}

export type Span = { left: number; width: number }

/** Where a span of time lies on an axis, in percent; null when it lies outside. */
export function place(axis: Axis, from: number, to: number): Span | null {
  const total = axis.to - axis.from
  const left = Math.max(0, ((from - axis.from) / total) * 100)
  const right = Math.min(100, ((to - axis.from) / total) * 100)
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

/** Offsets in milliseconds from the start of the run at which the axis is labelled. */
export function ticks(axis: Axis, origin: number, count: number): number[] {
  const step = (axis.to - axis.from) / count
  return Array.from({ length: count }, (_, index) => axis.from + index * step - origin)
}
