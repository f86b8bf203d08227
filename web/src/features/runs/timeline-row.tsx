import { ChevronDown, ChevronRight } from 'lucide-react'
import { useState } from 'react'
import { Glyph } from '@/components/glyph'
import { Money } from '@/components/money'
import { cn } from '@/lib/cn'
import { formatDuration } from '@/lib/format'
import type { Axis } from './timeline-axis'
import { TimelineBar } from './timeline-bar'
import type { Row } from './timeline-layout'

export const ROW_HEIGHT = 26
/** Name, axis, duration, cost. */
export const GRID =
  'grid grid-cols-[minmax(0,1fr)_40px_76px_56px] md:grid-cols-[minmax(200px,32%)_minmax(0,1fr)_84px_76px] lg:grid-cols-[minmax(240px,30%)_minmax(0,1fr)_92px_84px]'

type TimelineRowProps = {
  row: Row
  index: number
  top: number
  axis: Axis | null
  now: number
  selected: boolean
  focusable: boolean
  onSelect: () => void
  onToggle: () => void
}

export function TimelineRow({
  row,
  index,
  top,
  axis,
  now,
  selected,
  focusable,
  onSelect,
  onToggle,
}: TimelineRowProps) {
  const [firstTone] = useState(row.tone)
  const duration = row.from === null ? null : (row.growing ? now : (row.to ?? row.from)) - row.from
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid around handles the keys of all its rows
    <div
      role="row"
      aria-level={row.level}
      aria-rowindex={index + 2}
      aria-selected={selected}
      aria-expanded={row.expanded ?? undefined}
      aria-label={`${row.name}, ${row.about}, ${row.label}`}
      tabIndex={focusable ? 0 : -1}
      data-row={index}
      onClick={onSelect}
      className={cn(
        GRID,
        'absolute inset-x-0 items-center border-b border-line text-body -outline-offset-2 hover:bg-raised',
        selected && 'bg-raised shadow-[inset_3px_0_0_var(--ink)]',
      )}
      style={{ top, height: ROW_HEIGHT }}
    >
      {row.tone === firstTone ? null : (
        <div key={row.tone} aria-hidden className="row-changed pointer-events-none absolute inset-0 -z-10" />
      )}
      <div
        role="gridcell"
        className={cn('flex min-w-0 items-center gap-2 pr-2 pl-2', row.level === 2 && 'pl-[36px]')}
      >
        {row.level === 1 ? <Fold expanded={row.expanded} name={row.name} onToggle={onToggle} /> : null}
        <Glyph tone={row.tone} label={row.label} />
        <span className={cn('max-w-[75%] shrink-0 truncate', row.level === 1 && 'font-medium')}>
          {row.name}
        </span>
        <span className="min-w-0 flex-1 truncate text-right font-mono text-meta text-ink-3">{row.about}</span>
      </div>
      <div role="gridcell" className="h-full border-l border-line px-1">
        {axis ? <TimelineBar row={row} axis={axis} now={now} /> : null}
      </div>
      <div role="gridcell" className="pr-2 text-right tabular-nums">
        {duration === null ? '' : formatDuration(duration)}
      </div>
      <div role="gridcell" className="pr-3 text-right">
        {row.costMicros === 0 ? '' : <Money micros={row.costMicros} />}
      </div>
    </div>
  )
}

function Fold({
  expanded,
  name,
  onToggle,
}: {
  expanded: boolean | null
  name: string
  onToggle: () => void
}) {
  if (expanded === null) return <span className="w-4 shrink-0" />
  const Icon = expanded ? ChevronDown : ChevronRight
  return (
    <button
      type="button"
      tabIndex={-1}
      aria-label={expanded ? `Fold calls of ${name}` : `Unfold calls of ${name}`}
      className="grid size-4 shrink-0 place-items-center rounded-sm text-ink-3 hover:text-ink"
      onClick={(event) => {
        event.stopPropagation()
        onToggle()
      }}
    >
      <Icon aria-hidden className="size-3" />
    </button>
  )
}
