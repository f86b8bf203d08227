import { useInfiniteQuery, useQueries } from '@tanstack/react-query'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useRef, useState } from 'react'
import type { Frame, FrameCounts, Step } from '@/api/generated/types.gen'
import { usePolling } from '@/api/use-live'
import { FRAME_FACE, type FrameStatus } from '@/components/faces'
import { Glyph } from '@/components/glyph'
import { ProblemPanel } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { cn } from '@/lib/cn'
import { FRAMES_A_PAGE, framesOfStatusQuery, framesPageQuery } from './frames-api'
import { Part } from './part'
import { frameName, frameWords, itemWords } from './step-words'

const POLL_MS = 3000
const ROW_HEIGHT = 40
const LIST_HEIGHT = 320

/** How many items stand how, as far as the counters tell; what never started is cancelled with the step. */
function countsOf({ frames, finished_at }: Step): ReadonlyArray<readonly [FrameStatus, number]> {
  if (!frames) return []
  const rest = frames.expanded - frames.started
  const all: ReadonlyArray<readonly [FrameStatus, number]> = [
    ['failed', frames.failed],
    ['open', frames.started - frames.ended],
    [finished_at === null ? 'waiting' : 'cancelled', rest],
    ['succeeded', frames.ended - frames.failed],
  ]
  return all.filter(([, count]) => count > 0)
}

type FramesPartProps = { runId: string; step: Step; onOpen: (no: number) => void }

/** The items of a map or the passes of a loop: how far they are, and each of them to be opened. */
export function FramesPart({ runId, step, onOpen }: FramesPartProps) {
  const [status, setStatus] = useState<FrameStatus | null>(null)
  const { frames } = step
  if (!frames) return null
  const title = step.type === 'map' ? 'Items' : 'Passes'
  return (
    <Part title={title} action={<span className="text-dense text-ink-2">{frameWords(step)}</span>}>
      {step.type === 'map' ? <Meter frames={frames} /> : null}
      <div role="group" aria-label={`Which ${title.toLowerCase()}`} className="mt-2 flex flex-wrap gap-1">
        {[[null, frames.expanded] as const, ...countsOf(step)].map(([one, count]) => (
          <Button
            key={one ?? 'all'}
            size="sm"
            variant="ghost"
            aria-pressed={status === one}
            className={cn(status === one && 'border-ink bg-raised text-ink')}
            onClick={() => setStatus(one)}
          >
            {one ? <Glyph tone={FRAME_FACE[one].tone} /> : null}
            {one ? FRAME_FACE[one].label : 'All'}
            <span className="font-normal text-ink-3">{count.toLocaleString('en-US')}</span>
          </Button>
        ))}
      </div>
      <div className="mt-2">
        {status === null ? (
          <AllFrames runId={runId} step={step} count={frames.expanded} onOpen={onOpen} />
        ) : (
          <FramesOfStatus key={status} runId={runId} step={step} status={status} onOpen={onOpen} />
        )}
      </div>
      {step.type === 'map' ? <Rule frames={frames} /> : null}
    </Part>
  )
}

function Rule({ frames }: { frames: FrameCounts }) {
  return (
    <p className="mt-1.5 text-dense text-ink-3">
      Up to {frames.concurrency.toLocaleString('en-US')} at once;{' '}
      {frames.stop_on_error ? 'the first failure stops the rest.' : 'a failed item does not stop the others.'}
    </p>
  )
}

/** Ended, failed and started items as parts of one line. */
function Meter({ frames }: { frames: FrameCounts }) {
  const total = Math.max(1, frames.total ?? frames.expanded)
  const percent = (count: number) => `${(100 * count) / total}%`
  return (
    <div
      role="progressbar"
      aria-label="Items that have ended"
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={frames.ended}
      className="flex h-2 overflow-hidden rounded-sm bg-raised"
    >
      <div className="bg-ok-bar" style={{ width: percent(frames.ended - frames.failed) }} />
      <div className="hatched bg-st-failed" style={{ width: percent(frames.failed) }} />
      <div className="bg-st-running" style={{ width: percent(frames.started - frames.ended) }} />
    </div>
  )
}

type ListProps = { runId: string; step: Step; onOpen: (no: number) => void }

/** All of them: only the pages in view are asked for, so that ten thousand are as quick as ten. */
function AllFrames({ runId, step, count, onOpen }: ListProps & { count: number }) {
  const scroller = useRef<HTMLDivElement>(null)
  const first = step.type === 'map' ? 0 : 1
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 4,
  })
  const items = virtual.getVirtualItems()
  const pageOf = (index: number) => Math.floor(index / FRAMES_A_PAGE)
  const pages = [...new Set(items.map((item) => pageOf(item.index)))]
  const poll = usePolling(POLL_MS)
  const refetchInterval = step.finished_at === null && poll
  const found = useQueries({
    queries: pages.map((page) => ({ ...framesPageQuery(runId, step.id, first, page), refetchInterval })),
  })
  const failed = found.find((query) => query.isError && !query.data)
  if (failed) return <ProblemPanel error={failed.error} onRetry={() => void failed.refetch()} />
  const frameAt = (index: number): Frame | undefined =>
    found[pages.indexOf(pageOf(index))]?.data?.items[index % FRAMES_A_PAGE]
  return (
    <div
      ref={scroller}
      className="overflow-y-auto rounded-md border border-line"
      style={{ height: Math.min(LIST_HEIGHT, count * ROW_HEIGHT + 2) }}
    >
      <ul
        aria-label={step.type === 'map' ? 'Items' : 'Passes'}
        className="relative"
        style={{ height: virtual.getTotalSize() }}
      >
        {items.map(({ index, start }) => (
          <li
            key={index}
            aria-setsize={count}
            aria-posinset={index + 1}
            className="absolute inset-x-0"
            style={{ top: start, height: ROW_HEIGHT }}
          >
            <FrameRow type={step.type} no={first + index} frame={frameAt(index)} onOpen={onOpen} />
          </li>
        ))}
      </ul>
    </div>
  )
}

function FramesOfStatus({ runId, step, status, onOpen }: ListProps & { status: FrameStatus }) {
  const found = useInfiniteQuery(framesOfStatusQuery(runId, step.id, status))
  if (found.isError && !found.data) {
    return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  }
  const frames = found.data?.pages.flatMap((page) => page.items) ?? []
  if (found.data && frames.length === 0) return <p className="py-2 text-ink-2">None.</p>
  return (
    <div className="overflow-y-auto rounded-md border border-line" style={{ maxHeight: LIST_HEIGHT }}>
      <ul aria-label={step.type === 'map' ? 'Items' : 'Passes'}>
        {frames.map((frame) => (
          <li key={frame.no} style={{ height: ROW_HEIGHT }}>
            <FrameRow type={step.type} no={frame.no} frame={frame} onOpen={onOpen} />
          </li>
        ))}
      </ul>
      {found.hasNextPage ? (
        <Button
          className="m-2"
          size="sm"
          disabled={found.isFetchingNextPage}
          onClick={() => void found.fetchNextPage()}
        >
          Load more
        </Button>
      ) : null}
    </div>
  )
}

type FrameRowProps = { type: string; no: number; frame: Frame | undefined; onOpen: (no: number) => void }

function FrameRow({ type, no, frame, onOpen }: FrameRowProps) {
  return (
    <button
      type="button"
      onClick={() => onOpen(no)}
      className="grid h-full w-full grid-cols-[14px_minmax(0,1fr)] content-center items-center gap-x-2 border-b border-line px-2 text-left -outline-offset-2 hover:bg-raised"
    >
      {frame ? (
        <Glyph tone={FRAME_FACE[frame.status].tone} label={FRAME_FACE[frame.status].label} />
      ) : (
        <span />
      )}
      <span className="flex min-w-0 items-baseline gap-2 leading-4">
        <span className="shrink-0 font-medium">{frameName(type, no)}</span>
        <code className="truncate font-mono text-meta text-ink-3">{itemWords(frame?.value ?? null)}</code>
      </span>
      {frame?.error ? (
        <span className="col-start-2 truncate text-dense leading-4 text-tx-failed">
          {frame.error.message}
        </span>
      ) : null}
    </button>
  )
}
