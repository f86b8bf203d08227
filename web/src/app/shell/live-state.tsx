import type { LivePhase, LiveState as State } from '@/api/live'
import { useLiveState } from '@/api/use-live'
import { cn } from '@/lib/cn'
import { formatClock } from '@/lib/format'

const DOT = {
  idle: 'bg-transparent border border-ink-3',
  connecting: 'bg-transparent border border-ink-3',
  live: 'bg-st-succeeded',
  reconnecting: 'bg-transparent border-2 border-st-running',
  offline: 'bg-st-failed rounded-none',
} satisfies Record<LivePhase, string>

const WORDS = {
  idle: () => 'Not live',
  connecting: () => 'Connecting',
  live: () => 'Live',
  reconnecting: () => 'Reconnecting',
  offline: (state) => `Offline since ${formatClock(new Date(state.since).toISOString())}`,
} satisfies Record<LivePhase, (state: State) => string>

/** Whether what is shown follows what happens. */
export function LiveState() {
  const state = useLiveState()
  return (
    <span role="status" aria-label="Live updates" className="flex items-center gap-1.5 text-dense text-ink-2">
      <span aria-hidden className={cn('size-2 rounded-full', DOT[state.phase])} />
      {WORDS[state.phase](state)}
    </span>
  )
}
