import type { Event, Run, RunStatus, Step, StepStatus } from '@/api/generated/types.gen'
import { RUN_FACE, STEP_FACE } from '@/components/faces'

const OVER: ReadonlySet<StepStatus> = new Set<StepStatus>(['succeeded', 'failed', 'skipped', 'cancelled'])

const isRunStatus = (value: unknown): value is RunStatus => typeof value === 'string' && value in RUN_FACE
const isStepStatus = (value: unknown): value is StepStatus => typeof value === 'string' && value in STEP_FACE

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
  return {
    ...step,
    status,
    attempt: next,
    ready_at: status === 'ready' ? (step.ready_at ?? event.at) : step.ready_at,
    started_at: status === 'running' ? (step.started_at ?? event.at) : step.started_at,
    finished_at: OVER.has(status) ? (step.finished_at ?? event.at) : step.finished_at,
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
