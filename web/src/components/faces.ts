import type {
  ApprovalStatus,
  CallStatus,
  Frame,
  RunStatus,
  Step,
  StepStatus,
} from '@/api/generated/types.gen'
import type { Face } from './glyph'

// A state that the API adds fails to compile here until it has a face.

export const RUN_FACE = {
  awaiting_approval: { label: 'Needs approval', tone: 'waiting' },
  queued: { label: 'Queued', tone: 'queued' },
  running: { label: 'Running', tone: 'running' },
  paused: { label: 'Paused', tone: 'queued' },
  attention: { label: 'Needs attention', tone: 'waiting' },
  cancelling: { label: 'Cancelling', tone: 'running' },
  compensating: { label: 'Taking back', tone: 'running' },
  succeeded: { label: 'Succeeded', tone: 'succeeded' },
  failed: { label: 'Failed', tone: 'failed' },
  cancelled: { label: 'Cancelled', tone: 'cancelled' },
  denied: { label: 'Denied', tone: 'denied' },
} satisfies Record<RunStatus, Face>

export const STEP_FACE = {
  pending: { label: 'Waiting for others', tone: 'queued' },
  ready: { label: 'Queued', tone: 'queued' },
  running: { label: 'Running', tone: 'running' },
  waiting: { label: 'Waiting', tone: 'queued' },
  uncertain: { label: 'Did it happen?', tone: 'waiting' },
  succeeded: { label: 'Succeeded', tone: 'succeeded' },
  failed: { label: 'Failed', tone: 'failed' },
  skipped: { label: 'Skipped', tone: 'skipped' },
  cancelled: { label: 'Cancelled', tone: 'cancelled' },
} satisfies Record<StepStatus, Face>

/** What a step that waits waits for. Only an approval needs a person. */
const WAIT_FACE: Readonly<Record<string, Face>> = {
  approval: { label: 'Needs approval', tone: 'waiting' },
  timer: { label: 'Waits for its time', tone: 'queued' },
  event: { label: 'Waits for an event', tone: 'queued' },
  run: { label: 'Sub-workflow runs', tone: 'running' },
  budget: { label: 'Waits for a budget', tone: 'queued' },
  frames: { label: 'Under way', tone: 'running' },
}

/** How a step is shown. `undo_of`: it takes back what another did. */
export function stepFace(step: Pick<Step, 'status' | 'waiting_for' | 'held' | 'attempt' | 'undo_of'>): Face {
  const kind = step.waiting_for?.kind
  switch (step.status) {
    case 'waiting':
      return (typeof kind === 'string' && WAIT_FACE[kind]) || STEP_FACE.waiting
    case 'ready':
      if (step.held) return { label: 'Held', tone: 'queued' }
      return step.attempt > 0 ? { label: 'To be tried again', tone: 'queued' } : STEP_FACE.ready
    case 'running':
      return step.undo_of ? { label: 'Taking back', tone: 'running' } : STEP_FACE.running
    case 'succeeded':
      return step.undo_of ? { label: 'Taken back', tone: 'succeeded' } : STEP_FACE.succeeded
    default:
      return STEP_FACE[step.status]
  }
}

export type FrameStatus = Frame['status']

export const FRAME_FACE = {
  waiting: { label: 'Not started', tone: 'queued' },
  open: { label: 'Running', tone: 'running' },
  succeeded: { label: 'Succeeded', tone: 'succeeded' },
  failed: { label: 'Failed', tone: 'failed' },
  cancelled: { label: 'Cancelled', tone: 'cancelled' },
} satisfies Record<FrameStatus, Face>

export const CALL_FACE = {
  proposed: { label: 'Proposed', tone: 'queued' },
  denied: { label: 'Denied', tone: 'denied' },
  waiting_approval: { label: 'Needs approval', tone: 'waiting' },
  expired: { label: 'Approval expired', tone: 'cancelled' },
  prepared: { label: 'Under way', tone: 'running' },
  done: { label: 'Done', tone: 'succeeded' },
  failed: { label: 'Failed', tone: 'failed' },
  unknown: { label: 'Did it happen?', tone: 'waiting' },
} satisfies Record<CallStatus, Face>

export const APPROVAL_FACE = {
  pending: { label: 'Needs approval', tone: 'waiting' },
  approved: { label: 'Approved', tone: 'succeeded' },
  consumed: { label: 'Approved and used', tone: 'succeeded' },
  rejected: { label: 'Rejected', tone: 'denied' },
  expired: { label: 'Expired', tone: 'cancelled' },
  withdrawn: { label: 'Withdrawn', tone: 'cancelled' },
} satisfies Record<ApprovalStatus, Face>

const OVER: ReadonlySet<RunStatus> = new Set<RunStatus>(['succeeded', 'failed', 'cancelled', 'denied'])

/** Whether nothing can happen to a run any more. */
export const isOver = (status: RunStatus): boolean => OVER.has(status)

/** How a run is shown: while one of its steps waits for a person, that is what matters about it. */
export const runFace = (status: RunStatus, waiting: boolean): Face =>
  RUN_FACE[waiting && !isOver(status) ? 'awaiting_approval' : status]
