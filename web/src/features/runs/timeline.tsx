import { useVirtualizer } from '@tanstack/react-virtual'
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react'
import type { Call, Run, Step } from '@/api/generated/types.gen'
import { isOver, stepFace } from '@/components/faces'
import { TONE_TEXT, type Tone } from '@/components/glyph'
import { useNow } from '@/lib/clock'
import { formatDuration, formatOffset, plural } from '@/lib/format'
import { fitAxis, foldGaps, ticks } from './timeline-axis'
import { callsByStep, layoutRows } from './timeline-layout'
import { GRID, ROW_HEIGHT, TimelineRow } from './timeline-row'
import { type Scale, TimelineToolbar } from './timeline-toolbar'
import type { Selection } from './use-selection'

const TICK_MS = 250
/** Up to so many rows the calls are shown from the start. */
const UNFOLDED_UP_TO = 200
const TICKS = [0, 1, 2, 3, 4] as const

type TimelineProps = {
  run: Run
  steps: readonly Step[]
  calls: readonly Call[]
  selection: Selection | null
  onSelect: (selection: Selection) => void
}

/** The steps of a run over time, with their calls below them. */
export function Timeline({ run, steps, calls, selection, onSelect }: TimelineProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const [text, setText] = useState('')
  const [tone, setTone] = useState<Tone | null>(null)
  const [scale, setScale] = useState<Scale>('visible')
  const [foldsWaits, setFoldsWaits] = useState(true)
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set())
  const [wantsToFollow, setWantsToFollow] = useState(true)
  const [cursor, setCursor] = useState(0)
  const over = isOver(run.status)
  const now = useNow(over ? null : TICK_MS)

  const unfolded = steps.length + calls.length <= UNFOLDED_UP_TO
  const rows = useMemo(() => {
    const needle = text.trim().toLowerCase()
    const wanted = steps.filter(
      (step) =>
        (tone === null || stepFace(step).tone === tone) &&
        `${step.key} ${step.type} ${step.name ?? ''}`.toLowerCase().includes(needle),
    )
    return layoutRows(wanted, callsByStep(calls), (step) => unfolded !== toggled.has(step.id))
  }, [steps, calls, text, tone, toggled, unfolded])

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  })
  const items = virtual.getVirtualItems()
  const inView = scale === 'run' ? rows : rows.slice(items[0]?.index ?? 0, (items.at(-1)?.index ?? 0) + 1)
  const fitted = fitAxis(inView, now)
  const folded = fitted && foldGaps(fitted, inView, now)
  const axis = foldsWaits ? folded : fitted
  const origin = Date.parse(run.started_at ?? run.created_at)
  const following = over ? null : wantsToFollow
  const latest = rows.findLastIndex((row) => row.from !== null)

  useEffect(() => {
    if (following && latest >= 0) virtual.scrollToIndex(latest)
  }, [following, latest, virtual])

  const focusRow = (index: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, index))
    setCursor(next)
    virtual.scrollToIndex(next)
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus())
  }
  const select = (index: number) => {
    const row = rows[index]
    if (!row) return
    setCursor(index)
    onSelect({ stepId: row.stepId, callId: row.kind === 'call' ? row.id : null, item: null })
  }
  const toggle = (stepId: string) =>
    setToggled((old) => {
      const next = new Set(old)
      if (!next.delete(stepId)) next.add(stepId)
      return next
    })
  const onKeyDown = (event: KeyboardEvent) => {
    const row = rows[cursor]
    if (!row) return
    const act = {
      ArrowDown: () => focusRow(cursor + 1),
      ArrowUp: () => focusRow(cursor - 1),
      Home: () => focusRow(0),
      End: () => focusRow(rows.length - 1),
      Enter: () => select(cursor),
      ' ': () => select(cursor),
      ArrowRight: () => row.expanded === false && toggle(row.stepId),
      ArrowLeft: () =>
        row.level === 2
          ? focusRow(rows.findIndex((one) => one.id === row.stepId))
          : row.expanded === true && toggle(row.stepId),
    }[event.key]
    if (!act) return
    event.preventDefault()
    setWantsToFollow(false)
    act()
  }

  const total = fitAxis(rows, now)
  const inside = Math.max(0, run.steps_total - steps.length)
  const facts = [
    plural(steps.length, 'step'),
    inside > 0 ? `${inside.toLocaleString('en-US')} inside` : null,
    formatDuration(total ? total.to - total.from : null),
  ]
    .filter(Boolean)
    .join(', ')
  const shownTicks = axis ? ticks(axis, origin, TICKS.length) : []
  return (
    <div className="flex min-h-0 min-w-0 flex-1 flex-col">
      <TimelineToolbar
        text={text}
        onText={setText}
        counts={countTones(steps)}
        tone={tone}
        onTone={setTone}
        scale={scale}
        onScale={setScale}
        foldsWaits={folded !== null && folded.gaps.length > 0 ? foldsWaits : null}
        onFoldWaits={() => setFoldsWaits(!foldsWaits)}
        following={following}
        onFollow={() => setWantsToFollow(!wantsToFollow)}
        facts={facts}
      />
      <div
        ref={scroller}
        role="treegrid"
        aria-label="Steps"
        aria-rowcount={rows.length + 1}
        className="min-h-0 flex-1 overflow-y-auto"
        onKeyDown={onKeyDown}
        onWheel={() => setWantsToFollow(false)}
        onTouchMove={() => setWantsToFollow(false)}
      >
        <div
          role="row"
          aria-rowindex={1}
          className={`${GRID} sticky top-0 z-10 h-6 items-center border-b border-line bg-surface text-dense text-ink-3`}
        >
          <div role="columnheader" className="pl-3">
            Step
          </div>
          <div
            role="columnheader"
            aria-label="Time"
            className="relative flex h-full items-center border-l border-line px-1"
          >
            {TICKS.map((index) => (
              <span
                key={index}
                className={`absolute truncate pl-1 tabular-nums max-md:hidden ${index % 2 === 1 ? 'max-lg:hidden' : ''}`}
                style={{ left: `${(index / TICKS.length) * 100}%` }}
              >
                {shownTicks[index] === undefined ? '' : formatOffset(shownTicks[index])}
              </span>
            ))}
          </div>
          <div role="columnheader" className="pr-2 text-right">
            Duration
          </div>
          <div role="columnheader" className="pr-3 text-right">
            Cost
          </div>
        </div>
        {rows.length === 0 ? <NoRow tone={tone} filtered={text !== '' || tone !== null} /> : null}
        <div role="rowgroup" className="relative" style={{ height: virtual.getTotalSize() }}>
          {items.map(({ index, start }) => {
            const row = rows[index]
            if (!row) return null
            const selected = selection !== null && row.id === (selection.callId ?? selection.stepId)
            return (
              <TimelineRow
                key={row.id}
                row={row}
                index={index}
                top={start}
                axis={axis}
                now={now}
                selected={selected}
                focusable={index === Math.min(cursor, rows.length - 1)}
                onSelect={() => select(index)}
                onToggle={() => toggle(row.stepId)}
              />
            )
          })}
        </div>
      </div>
    </div>
  )
}

function NoRow({ tone, filtered }: { tone: Tone | null; filtered: boolean }) {
  return (
    <p className={`px-4 py-6 ${tone ? TONE_TEXT[tone] : 'text-ink-2'}`}>
      {filtered ? 'No step matches the filter.' : 'This run has no steps.'}
    </p>
  )
}

function countTones(steps: readonly Step[]): ReadonlyMap<Tone, number> {
  const counts = new Map<Tone, number>()
  for (const step of steps) {
    const { tone } = stepFace(step)
    counts.set(tone, (counts.get(tone) ?? 0) + 1)
  }
  return counts
}
