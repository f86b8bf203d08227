import type { Tone } from '@/components/glyph'
import { cn } from '@/lib/cn'
import { type Axis, place, placeRow, type Span } from './timeline-axis'
import type { BarShape, Row } from './timeline-layout'

const FILL = {
  succeeded: 'bg-ok-bar',
  running: 'bg-st-running',
  waiting: 'border-tx-waiting',
  failed: 'bg-st-failed',
  denied: 'border-st-denied',
  queued: 'bg-st-queued',
  cancelled: 'bg-st-cancelled',
  skipped: 'bg-st-skipped',
} satisfies Record<Tone, string>

const SHAPE = {
  solid: 'rounded-[2px]',
  open: 'rounded-l-[2px] border-r-2 border-ink',
  outlined: 'rounded-[2px] border-[1.5px] bg-st-waiting/20',
  dotted: 'rounded-[2px] border-[1.5px] border-dashed border-line-strong bg-transparent',
  hatched: 'rounded-[2px] hatched',
  hollow: 'rounded-[2px] border-[1.5px]',
} satisfies Record<BarShape, string>

/** The bar of one row on the time axis: a hairline for waiting, then the work itself. */
export function TimelineBar({ row, axis, now }: { row: Row; axis: Axis; now: number }) {
  const { queue, bar } = placeRow(row, axis, now)
  return (
    <div aria-hidden className="relative h-full">
      {axis.gaps.map((gap) => (
        <Gap key={gap.from} span={place(axis, gap.from, gap.to)} />
      ))}
      {queue ? (
        <div
          className="absolute top-1/2 h-px bg-line-strong"
          style={{ left: `${queue.left}%`, width: `${queue.width}%` }}
        />
      ) : null}
      {bar ? (
        <div
          className={cn(
            'absolute top-1/2 min-w-[2px] -translate-y-1/2',
            row.kind === 'call' ? 'h-1.5' : 'h-2.5',
            FILL[row.tone],
            SHAPE[row.shape],
          )}
          style={{ left: `min(${bar.left}%, 100% - 2px)`, width: `${bar.width}%` }}
        >
          {row.progress && row.growing ? <Progress {...row.progress} /> : null}
        </div>
      ) : null}
    </div>
  )
}

/** The items of a map that have ended, laid over its bar. */
function Progress({ ended, failed }: { ended: number; failed: number }) {
  return (
    <>
      <div
        className="absolute inset-y-0 left-0 bg-surface/55"
        style={{ left: `${ended * 100}%`, right: 0 }}
      />
      <div className="absolute inset-y-0 left-0 bg-st-failed" style={{ width: `${failed * 100}%` }} />
    </>
  )
}

/** Time that is folded away: a band, the same in every row. */
function Gap({ span }: { span: Span | null }) {
  if (!span) return null
  return (
    <div
      className="absolute inset-y-0 border-x border-dotted border-line-strong bg-raised"
      style={{ left: `${span.left}%`, width: `${span.width}%` }}
    />
  )
}
