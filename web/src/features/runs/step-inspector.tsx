import { useQuery } from '@tanstack/react-query'
import { GitFork, X } from 'lucide-react'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Call, Run, Step, StepDetail } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { stepFace } from '@/components/faces'
import { Status } from '@/components/glyph'
import { JsonView, valueText } from '@/components/json-view'
import { ProblemPanel } from '@/components/problem-panel'
import { Skeleton } from '@/components/states'
import { Button, buttonClass } from '@/components/ui/button'
import { cn } from '@/lib/cn'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { stepQuery } from './api'
import { CallCard } from './call-card'
import { FramePart } from './frame-part'
import { stepCallsQuery } from './frames-api'
import { FramesPart } from './frames-part'
import { Part } from './part'
import { StepAttempts } from './step-attempts'
import { StepFacts } from './step-facts'
import { StepKind } from './step-kind'
import { frameName, isContainer } from './step-words'
import type { Selection } from './use-selection'

type StepInspectorProps = {
  run: Run
  /** The step as the page lists it; undefined for one in a body, which is asked for alone. */
  listed: Step | undefined
  steps: readonly Step[]
  /** The calls that the page has: all of the listed steps. */
  calls: readonly Call[]
  selection: Selection
  onSelect: (selection: Selection | null) => void
}

/** Everything about one step. Its output and attempts are asked for only here. */
export function StepInspector({ run, listed, steps, calls, selection, onSelect }: StepInspectorProps) {
  const { stepId } = selection
  const detail = useQuery(stepQuery(run.id, stepId))
  const step = listed ?? detail.data
  if (!step) {
    return (
      <Frame label="Step" wide={false}>
        {detail.isError ? <ProblemPanel error={detail.error} onRetry={() => void detail.refetch()} /> : null}
        {detail.isPending ? <Skeleton className="m-4 h-24" /> : null}
      </Frame>
    )
  }
  const open = (id: string, item: number | null = null) => onSelect({ stepId: id, callId: null, item })
  return (
    <Frame label={`Step ${step.key}`} wide={isContainer(step)}>
      <Header step={step} run={run} steps={steps} onOpen={open} onClose={() => onSelect(null)} />
      <StepKind step={step} detail={detail.data} steps={steps} project={run.project} onSelect={open} />
      {isContainer(step) ? (
        selection.item === null ? (
          <FramesPart runId={run.id} step={step} onOpen={(no) => open(step.id, no)} />
        ) : (
          <FramePart
            runId={run.id}
            step={step}
            no={selection.item}
            onOpen={(no) => open(step.id, no)}
            onSelect={(id) => open(id)}
          />
        )
      ) : null}
      <StepFacts step={step} attempts={detail.data?.attempts.length ?? null} />
      {step.error ? (
        <Part title="Error">
          <p className="break-words text-tx-failed">{step.error.message}</p>
          <code className="font-mono text-dense text-ink-2">{step.error.code}</code>
        </Part>
      ) : null}
      {listed ? (
        <Calls calls={calls.filter((call) => call.step_id === step.id)} callId={selection.callId} />
      ) : (
        <OwnCalls runId={run.id} stepId={step.id} callId={selection.callId} />
      )}
      {detail.isError ? <ProblemPanel error={detail.error} onRetry={() => void detail.refetch()} /> : null}
      {detail.isPending ? <Skeleton className="m-4 h-24" /> : null}
      {detail.data ? <Output detail={detail.data} /> : null}
      {detail.data && detail.data.attempts.length > 0 ? (
        <Part title="Attempts">
          <StepAttempts attempts={detail.data.attempts} />
        </Part>
      ) : null}
    </Frame>
  )
}

function Frame({ label, wide, children }: { label: string; wide: boolean; children: ReactNode }) {
  return (
    <aside
      aria-label={label}
      className={cn(
        'flex w-[372px] shrink-0 flex-col overflow-y-auto border-l border-line bg-surface',
        'max-lg:absolute max-lg:inset-y-0 max-lg:right-0 max-lg:z-20 max-lg:w-[min(420px,92vw)] max-lg:shadow-overlay',
        wide && 'w-[440px]',
      )}
    >
      {children}
    </aside>
  )
}

type HeaderProps = {
  step: Step
  run: Run
  steps: readonly Step[]
  onOpen: (stepId: string, item: number | null) => void
  onClose: () => void
}

function Header({ step, run, steps, onOpen, onClose }: HeaderProps) {
  const top = step.parent_id === null && step.undo_of === null
  return (
    <header className="border-b border-line px-4 py-3">
      <Above step={step} steps={steps} onOpen={onOpen} />
      <div className="flex items-start justify-between gap-2">
        <h2 className="truncate text-section font-semibold" title={step.path}>
          {step.key}
        </h2>
        <Button variant="ghost" size="icon" aria-label="Close step" onClick={onClose}>
          <X aria-hidden />
        </Button>
      </div>
      <div className="flex h-7 items-center gap-3">
        <Status face={stepFace(step)} />
        <code className="font-mono text-dense text-ink-3">{shortId(step.id)}</code>
        {top && step.finished_at !== null ? (
          <Link
            to={paths.again(run.project, run.id, 'fork', step.key)}
            className={buttonClass({ size: 'sm' }, 'ml-auto')}
          >
            <GitFork aria-hidden />
            Fork from here
          </Link>
        ) : null}
      </div>
    </header>
  )
}

/** Where a step of a body stands: its map or loop, and which item or pass. */
function Above({ step, steps, onOpen }: Pick<HeaderProps, 'step' | 'steps' | 'onOpen'>) {
  const { parent_id, frame_no } = step
  if (parent_id === null || frame_no === null) return null
  // Of a body in a body the step above is not listed; its name is the part of the path before the last number.
  const above = step.path.slice(0, -(step.key.length + 1)).replace(/(\[\d+\]|#\d+)$/, '')
  const type = steps.find((one) => one.id === parent_id)?.type ?? (step.path.includes('#') ? 'loop' : 'map')
  const link = 'underline underline-offset-2 hover:text-ink'
  return (
    <nav aria-label="Where this step stands" className="flex gap-1.5 text-dense text-ink-2">
      <button type="button" className={link} onClick={() => onOpen(parent_id, null)}>
        {above}
      </button>
      <span aria-hidden>›</span>
      <button type="button" className={link} onClick={() => onOpen(parent_id, frame_no)}>
        {frameName(type, frame_no)}
      </button>
    </nav>
  )
}

function OwnCalls({ runId, stepId, callId }: { runId: string; stepId: string; callId: string | null }) {
  const found = useQuery(stepCallsQuery(runId, stepId))
  if (found.isError && !found.data) return <ProblemPanel error={found.error} />
  return <Calls calls={found.data?.items ?? []} callId={callId} />
}

function Calls({ calls, callId }: { calls: readonly Call[]; callId: string | null }) {
  if (calls.length === 0) return null
  return (
    <Part title={`Calls ${calls.length}`}>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-1">
        {calls.map((call) => (
          <CallCard key={call.id} call={call} open={call.id === callId} />
        ))}
      </div>
    </Part>
  )
}

function Output({ detail }: { detail: StepDetail }) {
  if (detail.output === null || detail.output === undefined) return null
  return (
    <Part title="Output" action={<CopyButton label="Copy output" text={() => valueText(detail.output)} />}>
      <JsonView label="Output" value={detail.output} />
    </Part>
  )
}
