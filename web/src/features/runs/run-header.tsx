import { Square } from 'lucide-react'
import { useState } from 'react'
import type { Run } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { isOver, runFace } from '@/components/faces'
import { Status } from '@/components/glyph'
import { Duration, Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { PageHeader } from '@/components/page'
import { ScriptedMark } from '@/components/scripted-mark'
import { Button } from '@/components/ui/button'
import { formatCount, formatMoney, shortId } from '@/lib/format'
import { CancelDialog } from './cancel-dialog'

type RunHeaderProps = {
  run: Run
  /** Whether something in it waits for a person. */
  waiting: boolean
}

/** What run this is, how it stands, what it has cost, and the way to stop it. */
export function RunHeader({ run, waiting }: RunHeaderProps) {
  const [cancelling, setCancelling] = useState(false)
  const stoppable = !isOver(run.status) && run.cancel_requested_at === null
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
            {stoppable ? (
              <Button variant="danger" onClick={() => setCancelling(true)}>
                <Square aria-hidden />
                Cancel run
              </Button>
            ) : null}
          </>
        }
      />
      {run.error ? (
        <p className="border-b border-line bg-surface px-4 py-2 text-tx-failed">
          {run.error.message} <code className="font-mono text-dense">{run.error.code}</code>
        </p>
      ) : null}
      <CancelDialog runId={run.id} open={cancelling} onOpenChange={setCancelling} />
    </>
  )
}

function Facts({ run, waiting }: RunHeaderProps) {
  const began = run.started_at ?? run.created_at
  const tokens = run.tokens.input + run.tokens.output
  return (
    <div className="flex flex-wrap items-center gap-x-3">
      <Status face={runFace(run.status, waiting)} />
      <span>Version {run.workflow.version}</span>
      <span>
        Started <Moment at={began} /> by {run.created_by?.name ?? run.trigger}
      </span>
      <Duration from={began} to={isOver(run.status) ? (run.finished_at ?? began) : null} />
      <span>
        <Money micros={run.cost_micros} />
        {run.budget ? ` of ${formatMoney(run.budget.limit_micros)}` : ''}
      </span>
      <span title={`${run.tokens.input} in, ${run.tokens.output} out`}>{formatCount(tokens)} tokens</span>
    </div>
  )
}
