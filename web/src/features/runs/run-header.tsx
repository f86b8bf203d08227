import { Pause, Play, RotateCcw, Square } from 'lucide-react'
import { useState } from 'react'
import type { Run } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { CopyButton } from '@/components/copy-button'
import { isOver, runFace } from '@/components/faces'
import { Status } from '@/components/glyph'
import { Duration, Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { PageHeader } from '@/components/page'
import { ScriptedMark } from '@/components/scripted-mark'
import { toast } from '@/components/ui/toast'
import { PermittedButton, PermittedLink } from '@/features/access/permitted-button'
import { formatCount, formatMoney, shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { useHoldRun } from './api'
import { CancelDialog } from './cancel-dialog'
import { Lineage } from './lineage'
import { RunNotice } from './run-notice'

type RunHeaderProps = {
  run: Run
  /** Whether something in it waits for a person. */
  waiting: boolean
}

/** What run this is, how it stands, what it has cost, and the ways to steer it. */
export function RunHeader({ run, waiting }: RunHeaderProps) {
  const [cancelling, setCancelling] = useState(false)
  const over = isOver(run.status)
  const stoppable = !over && run.cancel_requested_at === null
  return (
    <>
      <PageHeader
        title={
          <span className="flex flex-wrap items-center gap-x-2">
            {run.workflow.name}
            <code className="font-mono text-body font-normal text-ink-3" title={run.id}>
              {shortId(run.id)}
            </code>
            {run.scripted ? <ScriptedMark /> : null}
          </span>
        }
        facts={<Facts run={run} waiting={waiting} />}
        actions={
          <>
            <CopyButton label="Copy run id" text={() => run.id} />
            <Hold run={run} />
            {over ? <Again run={run} /> : null}
            {stoppable ? (
              <PermittedButton permission="run:control" variant="danger" onClick={() => setCancelling(true)}>
                <Square aria-hidden />
                Cancel run
              </PermittedButton>
            ) : null}
          </>
        }
      />
      {run.error ? (
        <p className="border-b border-line bg-surface px-4 py-2 text-tx-failed">
          {run.error.message} <code className="font-mono text-dense">{run.error.code}</code>
        </p>
      ) : null}
      <RunNotice run={run} />
      <CancelDialog runId={run.id} open={cancelling} onOpenChange={setCancelling} />
    </>
  )
}

const PAUSABLE: ReadonlySet<Run['status']> = new Set<Run['status']>(['running', 'queued'])

/** Pause, or resume what somebody paused. A run that is paused with its workflow goes on with that. */
function Hold({ run }: { run: Run }) {
  const hold = useHoldRun(run.id)
  const paused = run.status === 'paused'
  if (!paused && (!PAUSABLE.has(run.status) || run.cancel_requested_at !== null)) return null
  if (paused && run.paused_by === null) return null
  const act = () =>
    hold.mutate(paused ? 'resume' : 'pause', {
      onSuccess: () => toast(paused ? 'Run resumed' : 'Run paused'),
      onError: (error) => toast(asProblem(error).detail, { bad: true }),
    })
  return (
    <PermittedButton
      permission="run:control"
      variant={paused ? 'primary' : 'secondary'}
      disabled={hold.isPending}
      onClick={act}
    >
      {paused ? <Play aria-hidden /> : <Pause aria-hidden />}
      {paused ? 'Resume run' : 'Pause run'}
    </PermittedButton>
  )
}

/** What failed is best retried; what went well can be run again. */
function Again({ run }: { run: Run }) {
  const unhappy = run.status !== 'succeeded'
  return (
    <PermittedLink
      permission="run:create"
      to={paths.again(run.project, run.id, unhappy ? 'retry' : 'rerun')}
      variant="primary"
    >
      <RotateCcw aria-hidden />
      {unhappy ? 'Retry run' : 'Run again'}
    </PermittedLink>
  )
}

function Facts({ run, waiting }: RunHeaderProps) {
  const began = run.started_at ?? run.created_at
  const tokens = run.tokens.input + run.tokens.output
  const over = isOver(run.status)
  return (
    <>
      <div className="flex flex-wrap items-center gap-x-3">
        <Status face={runFace(run.status, waiting)} />
        <span>Version {run.workflow.version}</span>
        {run.priority === 'normal' ? null : (
          <span>{run.priority === 'high' ? 'High priority' : 'Low priority'}</span>
        )}
        <span>
          {run.started_at ? 'Started' : 'Accepted'} <Moment at={began} /> by{' '}
          {run.created_by?.name ?? run.trigger}
        </span>
        <Duration from={began} to={over ? (run.finished_at ?? began) : null} />
        {run.deadline_at !== null && !over ? (
          <span>
            Deadline <Moment at={run.deadline_at} exact />
          </span>
        ) : null}
        <span>
          <Money micros={run.cost_micros} />
          {run.budget ? ` of ${formatMoney(run.budget.limit_micros)}` : ''}
        </span>
        <span title={`${run.tokens.input} in, ${run.tokens.output} out`}>{formatCount(tokens)} tokens</span>
      </div>
      <Lineage run={run} />
    </>
  )
}
