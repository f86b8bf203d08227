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
  /** Whether it is a person who is waited for, and nothing is at work. */
  waits: boolean
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
    waits: step.type === 'approval' || face.tone === 'waiting',
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
    waits: face.tone === 'waiting',
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
