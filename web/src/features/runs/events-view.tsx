import { useQuery } from '@tanstack/react-query'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useRef } from 'react'
import type { Event, Step } from '@/api/generated/types.gen'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { formatClock, formatFull } from '@/lib/format'
import { eventsQuery } from './calls-api'

const ROW_HEIGHT = 26
const GRID = 'grid grid-cols-[64px_84px_180px_160px_minmax(0,1fr)] items-center gap-2 px-4'

/** The log of a run: everything that happened, in order. */
export function EventsView({
  runId,
  steps,
  poll,
}: {
  runId: string
  steps: readonly Step[]
  poll: number | false
}) {
  const events = useQuery({ ...eventsQuery(runId), refetchInterval: poll })
  if (events.isError) return <ProblemPanel error={events.error} onRetry={() => void events.refetch()} />
  if (!events.data) return <SkeletonRows rows={16} height={ROW_HEIGHT} />
  if (events.data.length === 0) return <Empty title="No events yet" />
  return <Log events={events.data} keys={new Map(steps.map((step) => [step.id, step.key]))} />
}

/** A step in a body is not among those of the page: its events name its path. */
const pathOf = ({ data }: Event): string => {
  const named = data.path ?? data.key
  return typeof named === 'string' ? named : ''
}

function Log({ events, keys }: { events: readonly Event[]; keys: ReadonlyMap<string, string> }) {
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  })
  return (
    <div
      ref={scroller}
      role="table"
      aria-label="Events"
      aria-rowcount={events.length}
      tabIndex={0}
      className="min-h-0 flex-1 overflow-y-auto"
    >
      <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const event = events[index]
          if (!event) return null
          return (
            <div
              key={event.seq}
              role="row"
              aria-rowindex={index + 1}
              className={`${GRID} absolute inset-x-0 border-b border-line`}
              style={{ top: start, height: ROW_HEIGHT }}
            >
              <span role="cell" className="text-right text-ink-3 tabular-nums">
                {event.seq}
              </span>
              <time role="cell" dateTime={event.at} title={formatFull(event.at)} className="tabular-nums">
                {formatClock(event.at)}
              </time>
              <code role="cell" className="truncate font-mono text-dense font-medium">
                {event.kind}
              </code>
              <span role="cell" className="truncate">
                {event.step_id ? (keys.get(event.step_id) ?? pathOf(event)) : ''}
              </span>
              <code
                role="cell"
                className="truncate font-mono text-dense text-ink-2"
                title={JSON.stringify(event.data, null, 2)}
              >
                {JSON.stringify(event.data)}
              </code>
            </div>
          )
        })}
      </div>
    </div>
  )
}
