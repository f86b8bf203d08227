import type { Call, CallStatus, Step, StepStatus } from '@/api/generated/types.gen'
import { CALL_FACE, stepFace } from '@/components/faces'
import type { Tone } from '@/components/glyph'
import { isPause, stepAbout } from './step-words'

/** How a bar is drawn: `open` is under way, `outlined` waits for a person, `dotted` for a time or an event,
 * `hollow` was denied, `hatched` failed. */
export type BarShape = 'solid' | 'open' | 'outlined' | 'dotted' | 'hatched' | 'hollow'

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
  /** Whether something is waited for, and nothing is at work. */
  waits: boolean
  /** Of a map that has begun: which parts of its items have ended and failed, from 0 to 1. */
  progress: { ended: number; failed: number } | null
  shape: BarShape
  costMicros: number
  expanded: boolean | null
}

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
  const face = stepFace(step)
  return {
    id: step.id,
    kind: 'step',
    stepId: step.id,
    level: 1,
    name: step.key,
    about: stepAbout(step),
    tone: face.tone,
    label: face.label,
    queuedFrom: queuedFrom(step),
    from: time(step.started_at),
    to: time(step.finished_at),
    growing: AT_WORK.has(step.status),
    waits: isPause(step) || face.tone === 'waiting',
    progress: progressOf(step),
    shape: isPause(step) && face.tone !== 'waiting' && face.tone !== 'failed' ? 'dotted' : shapeOf(face.tone),
    costMicros: step.cost_micros,
    expanded,
  }
}

/** A step that was woken or is tried again became ready once more after it had begun: that is no queueing before it. */
export function queuedFrom({ ready_at, started_at }: Pick<Step, 'ready_at' | 'started_at'>): number | null {
  const ready = time(ready_at)
  const started = time(started_at)
  return ready !== null && started !== null && ready > started ? null : ready
}

function progressOf({ frames }: Step): Row['progress'] {
  if (!frames?.total) return null
  return { ended: frames.ended / frames.total, failed: frames.failed / frames.total }
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
    waits: face.tone === 'waiting',
    progress: null,
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
