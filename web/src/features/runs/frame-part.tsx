import { useQuery } from '@tanstack/react-query'
import { ArrowLeft, ChevronLeft, ChevronRight } from 'lucide-react'
import type { Step } from '@/api/generated/types.gen'
import { usePolling } from '@/api/use-live'
import { FRAME_FACE, stepFace } from '@/components/faces'
import { Glyph, Status } from '@/components/glyph'
import { JsonView } from '@/components/json-view'
import { Duration } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Skeleton } from '@/components/states'
import { Button } from '@/components/ui/button'
import { frameQuery, frameStepsQuery } from './frames-api'
import { frameName, itemWords, stepAbout } from './step-words'

const POLL_MS = 3000

type FramePartProps = {
  runId: string
  step: Step
  no: number
  onOpen: (no: number | null) => void
  onSelect: (stepId: string) => void
}

/** One item of a map or one pass of a loop: what it was given, and its steps. */
export function FramePart({ runId, step, no, onOpen, onSelect }: FramePartProps) {
  const first = step.type === 'map' ? 0 : 1
  const last = first + (step.frames?.expanded ?? 0) - 1
  const poll = usePolling(POLL_MS)
  const refetchInterval = step.finished_at === null && poll
  const frame = useQuery({ ...frameQuery(runId, step.id, no), refetchInterval })
  const steps = useQuery({ ...frameStepsQuery(runId, step.id, no), refetchInterval })
  const name = frameName(step.type, no)
  const error = [frame, steps].find((query) => query.isError && !query.data)?.error
  return (
    <section aria-label={name} className="border-b border-line px-4 py-3">
      <div className="mb-2 flex items-center gap-1">
        <Button size="sm" variant="ghost" className="-ml-2" onClick={() => onOpen(null)}>
          <ArrowLeft aria-hidden />
          {step.type === 'map' ? 'All items' : 'All passes'}
        </Button>
        <span className="ml-auto flex">
          <Button
            size="icon"
            variant="ghost"
            aria-label="Previous"
            disabled={no <= first}
            onClick={() => onOpen(no - 1)}
          >
            <ChevronLeft aria-hidden />
          </Button>
          <Button
            size="icon"
            variant="ghost"
            aria-label="Next"
            disabled={no >= last}
            onClick={() => onOpen(no + 1)}
          >
            <ChevronRight aria-hidden />
          </Button>
        </span>
      </div>
      <div className="flex items-center gap-3">
        <h3 className="font-semibold">{name}</h3>
        {frame.data ? <Status face={FRAME_FACE[frame.data.status]} className="text-dense" /> : null}
      </div>
      {error ? <ProblemPanel error={error} /> : null}
      {frame.data?.error ? <p className="mt-1 text-tx-failed">{frame.data.error.message}</p> : null}
      {frame.data?.value ? (
        <JsonView
          label={step.type === 'map' ? 'The item' : 'What the pass before gave'}
          value={itemWords(frame.data.value)}
          className="mt-2"
        />
      ) : null}
      {steps.isPending ? <Skeleton className="mt-3 h-10" /> : null}
      <ul aria-label={`Steps of ${name.toLowerCase()}`} className="mt-2">
        {steps.data?.items.map((one) => (
          <li key={one.id}>
            <button
              type="button"
              onClick={() => onSelect(one.id)}
              className="flex h-7 w-full items-center gap-2 border-b border-line px-1 text-left -outline-offset-2 hover:bg-raised"
            >
              <Glyph tone={stepFace(one).tone} label={stepFace(one).label} />
              <span className="shrink-0 font-medium">{one.key}</span>
              <span className="min-w-0 flex-1 truncate font-mono text-meta text-ink-3">{stepAbout(one)}</span>
              {one.started_at ? (
                <span className="text-dense text-ink-2">
                  <Duration from={one.started_at} to={one.finished_at} />
                </span>
              ) : null}
            </button>
          </li>
        ))}
      </ul>
    </section>
  )
}
