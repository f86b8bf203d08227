import { useNow } from '@/lib/clock'
import {
  elapsedMs,
  formatAbsolute,
  formatClock,
  formatDuration,
  formatFull,
  formatRelative,
} from '@/lib/format'

const DAY_MS = 86_400_000

/**
 * A point in time: how long ago, and the absolute time on hover; the absolute time when it is over a day away.
 * `exact`: the time of day, and how far away it is.
 */
export function Moment({ at, exact, className }: { at: string; exact?: boolean; className?: string }) {
  const now = useNow(10_000)
  const far = Math.abs(Date.parse(at) - now) > DAY_MS
  return (
    <time dateTime={at} title={formatFull(at)} className={className}>
      {far
        ? formatAbsolute(at)
        : exact
          ? `${formatClock(at)} (${formatRelative(at, now)})`
          : formatRelative(at, now)}
    </time>
  )
}

/** How long something took, or has taken so far while `to` is null. */
export function Duration({ from, to }: { from: string | null; to: string | null }) {
  const now = useNow(from !== null && to === null ? 1000 : null)
  return <span className="tabular-nums">{formatDuration(elapsedMs(from, to, now))}</span>
}
