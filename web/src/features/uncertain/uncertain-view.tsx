import { useInfiniteQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { DoubtfulCall, UncertainStep } from '@/api/generated/types.gen'
import { usePolling } from '@/api/use-live'
import { CopyButton } from '@/components/copy-button'
import { Glyph } from '@/components/glyph'
import { valueText } from '@/components/json-view'
import { Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { ValueTree } from '@/components/value-tree'
import { cn } from '@/lib/cn'
import { plural, shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { AnswerForm } from './answer-form'
import { uncertainQuery } from './api'

const POLL_MS = 5000

/** The steps in doubt on the left, the chosen one on the right. The choice is in the address. */
export function UncertainView({ project }: { project: string }) {
  const [search] = useSearchParams()
  const poll = usePolling(POLL_MS)
  const found = useInfiniteQuery({ ...uncertainQuery(project), refetchInterval: poll })
  if (found.isError && !found.data) {
    return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  }
  if (!found.data) return <SkeletonRows rows={6} height={64} />
  const steps = found.data.pages.flatMap((page) => page.items)
  const wanted = search.get('step')
  const step = steps.find((one) => one.id === wanted) ?? (wanted === null ? steps[0] : undefined)
  if (steps.length === 0) return <Nothing />
  return (
    <div className="flex min-h-0 flex-1 max-md:flex-col">
      <div className="w-[340px] shrink-0 overflow-y-auto border-r border-line max-md:max-h-[40vh] max-md:w-full max-md:border-b">
        <ul aria-label="Steps in doubt">
          {steps.map((one) => (
            <li key={one.id} className="border-b border-line">
              <Item step={one} selected={one.id === step?.id} />
            </li>
          ))}
        </ul>
        {found.hasNextPage ? (
          <Button
            className="m-3"
            disabled={found.isFetchingNextPage}
            onClick={() => void found.fetchNextPage()}
          >
            Load more
          </Button>
        ) : null}
      </div>
      <div className="min-w-0 flex-1 overflow-y-auto">
        {step ? <Detail key={step.id} step={step} /> : <Gone />}
      </div>
    </div>
  )
}

function Item({ step, selected }: { step: UncertainStep; selected: boolean }) {
  return (
    <Link
      to={`?step=${step.id}`}
      replace
      aria-current={selected ? 'true' : undefined}
      className={cn(
        'grid grid-cols-[14px_minmax(0,1fr)] gap-x-2.5 border-l-2 border-transparent px-3.5 py-2 hover:bg-raised',
        'focus-visible:outline-offset-[-2px] aria-[current]:border-l-ink aria-[current]:bg-raised',
      )}
    >
      <Glyph tone="waiting" className="mt-[3px]" />
      <span className="grid min-w-0">
        <span className="truncate font-medium">{step.calls.map((call) => call.name).join(', ')}</span>
        <span className="truncate text-dense text-ink-2">
          {step.workflow.name}, {step.path}
        </span>
        <span className="text-dense text-ink-3">
          Run {shortId(step.run_id)}
          {step.since ? (
            <>
              , <Moment at={step.since} />
            </>
          ) : null}
        </span>
      </span>
    </Link>
  )
}

function Detail({ step }: { step: UncertainStep }) {
  const [chosen, setChosen] = useState<string | null>(null)
  const call = step.calls.find((one) => one.id === chosen) ?? step.calls[0]
  const run = `${paths.run(step.project, step.run_id)}?step=${step.id}`
  return (
    <article aria-label={`Step ${step.path}`}>
      <header className="border-b border-line px-4 py-3">
        <p className="flex items-center gap-1.5 text-dense font-medium text-tx-waiting">
          <Glyph tone="waiting" />
          Did it happen?
        </p>
        <h2 className="text-section font-semibold">
          {call?.name ?? step.type} in step {step.path}
        </h2>
        <p className="max-w-3xl text-ink-2">
          It may have changed something outside, and doing it twice could do harm. So it is not repeated by
          itself: look there whether it happened, then say so here. The run waits until then.
        </p>
      </header>
      {step.calls.length > 1 ? (
        <div role="group" aria-label="Calls in doubt" className="border-b border-line px-4 py-2">
          <p className="mb-1 text-dense text-ink-2">
            {plural(step.calls.length, 'call')} in doubt, one by one:
          </p>
          <div className="flex flex-wrap gap-1">
            {step.calls.map((one) => (
              <Button
                key={one.id}
                size="sm"
                variant="ghost"
                aria-pressed={one.id === call?.id}
                className={cn(one.id === call?.id && 'border-ink bg-raised text-ink')}
                onClick={() => setChosen(one.id)}
              >
                {one.seq}. {one.name}
              </Button>
            ))}
          </div>
        </div>
      ) : null}
      {call ? <CallFacts step={step} call={call} run={run} /> : null}
      {call ? <AnswerForm key={call.id} step={step} call={call} /> : null}
    </article>
  )
}

const LINK = 'underline underline-offset-2 hover:text-ink-2'

function CallFacts({ step, call, run }: { step: UncertainStep; call: DoubtfulCall; run: string }) {
  return (
    <>
      <dl className="grid grid-cols-[112px_minmax(0,1fr)] gap-x-3 gap-y-1 border-b border-line px-4 py-3">
        <Fact name="Why unknown">{call.why}</Fact>
        <Fact name="Workflow">
          <Link to={paths.workflow(step.project, step.workflow.id)} className={LINK}>
            {step.workflow.name}
          </Link>{' '}
          <span className="text-ink-2">version {step.workflow.version}</span>
        </Fact>
        <Fact name="Run and step">
          <Link to={run} className={LINK}>
            <code className="font-mono text-dense">{shortId(step.run_id)}</code>, {step.path}
          </Link>
        </Fact>
        <Fact name="Sent">
          {call.sent_at ? <Moment at={call.sent_at} exact /> : 'Not known'}
          {call.worker ? (
            <span className="text-ink-2">
              , by attempt {call.attempt} on {call.worker.host}, process {call.worker.pid}
            </span>
          ) : null}
        </Fact>
        {call.cost_micros > 0 ? (
          <Fact name="Presumed cost">
            <Money micros={call.cost_micros} />
          </Fact>
        ) : null}
      </dl>
      <section aria-label="Request" className="border-b border-line px-4 py-3">
        <div className="mb-1.5 flex h-6 items-center justify-between">
          <h3 className="text-dense font-medium text-ink-2">What was to be sent</h3>
          <CopyButton label="Copy request" text={() => valueText(call.request)} />
        </div>
        <ValueTree value={call.request} />
      </section>
    </>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  )
}

function Nothing() {
  return (
    <Empty title="Nothing is in doubt">
      When a worker dies while it makes a call that must not be repeated, nobody knows whether the call
      happened. Such steps appear here until a person has found out.
    </Empty>
  )
}

function Gone() {
  return (
    <Empty title="This step is not in doubt any more">
      It has been answered. Choose another one from the list.
    </Empty>
  )
}
