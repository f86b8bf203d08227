import type { Attempt, AttemptOutcome } from '@/api/generated/types.gen'
import type { Face } from '@/components/glyph'
import { Status } from '@/components/glyph'
import { Duration } from '@/components/moment'

export const OUTCOME_FACE = {
  succeeded: { label: 'Succeeded', tone: 'succeeded' },
  failed: { label: 'Failed', tone: 'failed' },
  waiting: { label: 'Stopped to wait', tone: 'queued' },
  released: { label: 'Given back', tone: 'queued' },
  lost: { label: 'Worker lost', tone: 'failed' },
  timed_out: { label: 'Timed out', tone: 'failed' },
  uncertain: { label: 'Did it happen?', tone: 'waiting' },
  cancelled: { label: 'Cancelled', tone: 'cancelled' },
} satisfies Record<AttemptOutcome, Face>

const UNDER_WAY: Face = { label: 'Under way', tone: 'running' }

/** Every try at a step: how it ended, how long it took, on which worker. */
export function StepAttempts({ attempts }: { attempts: readonly Attempt[] }) {
  return (
    <ol className="grid gap-1.5">
      {attempts.map((one) => (
        <li key={one.attempt}>
          <div className="flex items-center gap-2">
            <span className="w-4 text-right text-ink-3 tabular-nums">{one.attempt}</span>
            <Status face={one.outcome ? OUTCOME_FACE[one.outcome] : UNDER_WAY} />
            <span className="ml-auto text-dense text-ink-2">
              <Duration from={one.started_at} to={one.ended_at} />
            </span>
          </div>
          <p className="pl-6 text-dense text-ink-3">
            {one.worker ? `${one.worker.host}, process ${one.worker.pid}` : 'Worker unknown'}
          </p>
          {one.error ? <p className="pl-6 text-dense text-tx-failed">{one.error.message}</p> : null}
        </li>
      ))}
    </ol>
  )
}
