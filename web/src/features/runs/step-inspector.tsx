import { useQuery } from '@tanstack/react-query'
import { X } from 'lucide-react'
import type { Call, Step, StepDetail } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { STEP_FACE } from '@/components/faces'
import { Status } from '@/components/glyph'
import { JsonView, valueText } from '@/components/json-view'
import { Duration, Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { ProblemPanel } from '@/components/problem-panel'
import { Skeleton } from '@/components/states'
import { Button } from '@/components/ui/button'
import { shortId } from '@/lib/format'
import { stepQuery } from './api'
import { CallCard } from './call-card'
import { StepAttempts } from './step-attempts'

type StepInspectorProps = {
  runId: string
  step: Step
  calls: readonly Call[]
  callId: string | null
  onClose: () => void
}

/** Everything about one step. Its output and attempts are asked for only here. */
export function StepInspector({ runId, step, calls, callId, onClose }: StepInspectorProps) {
  const detail = useQuery(stepQuery(runId, step.id))
  return (
    <aside
      aria-label={`Step ${step.key}`}
      className="flex w-[372px] shrink-0 flex-col overflow-y-auto border-l border-line bg-surface max-lg:absolute max-lg:inset-y-0 max-lg:right-0 max-lg:z-20 max-lg:w-[min(420px,92vw)] max-lg:shadow-overlay"
    >
      <header className="flex items-start justify-between gap-2 border-b border-line px-4 py-3">
        <div className="min-w-0">
          <h2 className="truncate text-section font-semibold">{step.key}</h2>
          <div className="flex items-center gap-3">
            <Status face={STEP_FACE[step.status]} />
            <code className="font-mono text-dense text-ink-3">{shortId(step.id)}</code>
          </div>
        </div>
        <Button variant="ghost" size="icon" aria-label="Close step" onClick={onClose}>
          <X aria-hidden />
        </Button>
      </header>
      <Facts step={step} attempts={detail.data?.attempts.length ?? null} />
      {step.error ? (
        <Part title="Error">
          <p className="text-tx-failed">{step.error.message}</p>
          <code className="font-mono text-dense text-ink-2">{step.error.code}</code>
        </Part>
      ) : null}
      {calls.length > 0 ? (
        <Part title={`Calls ${calls.length}`}>
          <div className="grid gap-1">
            {calls.map((call) => (
              <CallCard key={call.id} call={call} open={call.id === callId} />
            ))}
          </div>
        </Part>
      ) : null}
      {detail.isError ? <ProblemPanel error={detail.error} onRetry={() => void detail.refetch()} /> : null}
      {detail.isPending ? <Skeleton className="m-4 h-24" /> : null}
      {detail.data ? <Output detail={detail.data} /> : null}
      {detail.data && detail.data.attempts.length > 0 ? (
        <Part title="Attempts">
          <StepAttempts attempts={detail.data.attempts} />
        </Part>
      ) : null}
    </aside>
  )
}

function Part({
  title,
  action,
  children,
}: {
  title: string
  action?: React.ReactNode
  children: React.ReactNode
}) {
  return (
    <section className="border-b border-line px-4 py-3">
      <div className="mb-1.5 flex h-6 items-center justify-between">
        <h3 className="text-dense font-medium text-ink-2">{title}</h3>
        {action}
      </div>
      {children}
    </section>
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

function Facts({ step, attempts }: { step: Step; attempts: number | null }) {
  const { started_at: started, finished_at: finished } = step
  return (
    <dl className="grid grid-cols-[104px_1fr] gap-x-3 gap-y-1.5 border-b border-line px-4 py-3">
      <Fact name="Type">
        {step.type} {step.name ? <code className="font-mono text-dense">{step.name}</code> : null}
      </Fact>
      <Fact name="Needs">{step.needs.length === 0 ? 'Nothing' : step.needs.join(', ')}</Fact>
      {step.ready_at ? (
        <Fact name="Queued for">
          <Duration from={step.ready_at} to={started ?? finished} />
        </Fact>
      ) : null}
      {started ? (
        <Fact name={finished ? 'Ran for' : 'Running for'}>
          <Duration from={started} to={finished} />
        </Fact>
      ) : null}
      {started ? (
        <Fact name="Started">
          <Moment at={started} />
        </Fact>
      ) : null}
      <Fact name="Attempt">
        {step.attempt}
        {attempts !== null && attempts > step.attempt ? ` of ${attempts}` : ''}
      </Fact>
      {step.failures > 0 ? <Fact name="Failures">{step.failures}</Fact> : null}
      {step.crashes > 0 ? <Fact name="Workers lost">{step.crashes}</Fact> : null}
      <Fact name="Cost">
        <Money micros={step.cost_micros} />
      </Fact>
    </dl>
  )
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  )
}
