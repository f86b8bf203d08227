import type {
  Call,
  CallStatus,
  Event,
  Failure,
  Run,
  RunStatus,
  Step,
  StepStatus,
} from '@/api/generated/types.gen'
import { CALL_FACE, RUN_FACE, STEP_FACE } from '@/components/faces'

const OVER: ReadonlySet<StepStatus> = new Set<StepStatus>(['succeeded', 'failed', 'skipped', 'cancelled'])

const isRunStatus = (value: unknown): value is RunStatus => typeof value === 'string' && value in RUN_FACE
const isStepStatus = (value: unknown): value is StepStatus => typeof value === 'string' && value in STEP_FACE
const isCallStatus = (value: unknown): value is CallStatus => typeof value === 'string' && value in CALL_FACE
const isText = (value: unknown): value is string => typeof value === 'string'
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null
const isFailure = (value: unknown): value is Failure =>
  isObject(value) && isText(value.code) && isText(value.message)

/** The steps after these events. Only what an event says for certain changes; the rest is asked for again. */
export function patchSteps(steps: readonly Step[], events: readonly Event[]): Step[] {
  const changes = new Map<string, Event[]>()
  for (const event of events) {
    if (event.step_id === null || !event.kind.startsWith('step.')) continue
    changes.set(event.step_id, [...(changes.get(event.step_id) ?? []), event])
  }
  return steps.map((step) => (changes.get(step.id) ?? []).reduce(patchStep, step))
}

function patchStep(step: Step, event: Event): Step {
  const { status, attempt } = event.data
  if (!isStepStatus(status)) return step
  const next = typeof attempt === 'number' ? attempt : step.attempt
  // What was asked for may be newer than an event that comes late.
  if (next < step.attempt || OVER.has(step.status)) return step
  const { waiting_for, error, ready_at, started_at, finished_at } = event.data
  // A time that the event does not name is the first one known, or that of the event itself.
  const time = (told: unknown, known: string | null, applies: boolean): string | null =>
    isText(told) ? told : (known ?? (applies ? event.at : null))
  return {
    ...step,
    status,
    attempt: next,
    waiting_for: isObject(waiting_for) ? waiting_for : null,
    error: isFailure(error) ? error : step.error,
    ready_at: time(ready_at, step.ready_at, status === 'ready'),
    started_at: time(started_at, step.started_at, status === 'running'),
    finished_at: time(finished_at, step.finished_at, OVER.has(status)),
  }
}

const CALL_OVER: ReadonlySet<CallStatus> = new Set<CallStatus>(['done', 'failed', 'denied', 'expired'])

type CallChange = { callId: string; status: CallStatus; costMicros: number | null; at: string }

function readCallEvent({ kind, data, at }: Event): CallChange | null {
  const { call_id, status, cost_micros } = data
  if (!kind.startsWith('call.') || !isText(call_id) || !isCallStatus(status)) return null
  return { callId: call_id, status, costMicros: typeof cost_micros === 'number' ? cost_micros : null, at }
}

/** The calls that these events end: nothing more is said or charged in them. */
export const endedCalls = (events: readonly Event[]): string[] =>
  events.flatMap((event) => {
    const change = readCallEvent(event)
    return change && CALL_OVER.has(change.status) ? [change.callId] : []
  })

/**
 * The calls after these events. A call that is not among them has a request that no event carries: it comes
 * with the next answer of the server.
 */
export function patchCalls(calls: readonly Call[], events: readonly Event[]): readonly Call[] {
  const changes = events.map(readCallEvent).filter((change) => change !== null)
  const touched = new Set(changes.map((change) => change.callId))
  if (!calls.some((call) => touched.has(call.id))) return calls
  return calls.map((call) =>
    touched.has(call.id)
      ? changes.filter((change) => change.callId === call.id).reduce(patchCall, call)
      : call,
  )
}

function patchCall(call: Call, { status, costMicros, at }: CallChange): Call {
  if (CALL_OVER.has(call.status)) return call
  return {
    ...call,
    status,
    cost_micros: costMicros ?? call.cost_micros,
    prepared_at: call.prepared_at ?? (status === 'prepared' ? at : null),
    finished_at: call.finished_at ?? (CALL_OVER.has(status) ? at : null),
  }
}

/** The run after these events. */
export function patchRun(run: Run, events: readonly Event[]): Run {
  const last_seq = Math.max(run.last_seq, ...events.map((event) => event.seq))
  if (last_seq === run.last_seq) return run
  const spoken = events.filter((event) => event.kind.startsWith('run.') && event.seq > run.last_seq)
  const status = spoken.map((event) => event.data.status).findLast(isRunStatus) ?? run.status
  return { ...run, last_seq, status }
}
