import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Run } from '@/api/generated/types.gen'
import { Moment } from '@/components/moment'
import { buttonClass } from '@/components/ui/button'
import { paths } from '@/lib/paths'

/** One line below the header while a run does not simply go on, or is no longer whole: why, and what it takes. */
export function RunNotice({ run }: { run: Run }) {
  const words = noticeOf(run)
  if (words === null) return null
  return (
    <div role="status" aria-label="Why this run is held" className="border-b border-line bg-raised px-4 py-2">
      {words}
    </div>
  )
}

const QUEUED = {
  pause: 'its workflow is paused. It goes on when that is released.',
  project: 'the project already has as many runs under way as its limit allows.',
  workflow: 'the workflow already has as many runs under way as its limit allows.',
} as const

function noticeOf(run: Run): ReactNode {
  switch (run.status) {
    case 'paused':
      return <Paused run={run} />
    case 'queued':
      return (
        <>
          <b className="font-semibold">Queued: </b>
          {run.queued_behind === null ? 'it is about to start.' : <Queue run={run} />}
        </>
      )
    case 'awaiting_approval':
      return (
        <>
          <b className="font-semibold text-tx-waiting">Needs approval: </b>
          {run.started_at === null
            ? 'nothing of it is done before people have let it begin.'
            : 'all its steps have ended. Its output is kept back until people let it out.'}
        </>
      )
    case 'cancelling':
      return (
        <>
          <b className="font-semibold">Cancelling: </b>nothing new starts; what is under way ends and is
          recorded.
        </>
      )
    case 'compensating':
      return (
        <>
          <b className="font-semibold">Taking back: </b>the undo steps run, the last effect first. Then the
          run ends as {run.ends_as ?? 'failed'}.
        </>
      )
    case 'attention':
      return (
        <span className="flex flex-wrap items-center justify-between gap-2">
          <span>
            <b className="font-semibold text-tx-waiting">Needs attention: </b>nobody knows whether an effect
            happened. Nothing goes on until a person has said so.
          </span>
          <Link to={paths.uncertain(run.project)} className={buttonClass({ variant: 'spark', size: 'sm' })}>
            Say what happened
          </Link>
        </span>
      )
    default:
      return removedOf(run)
  }
}

/** What the project no longer keeps of a run that has ended. */
function removedOf(run: Run): ReactNode {
  const at = run.values_removed_at ?? run.log_removed_at
  if (at === null) return null
  const what = [
    run.values_removed_at ? 'what it worked with' : null,
    run.log_removed_at ? 'its log' : null,
  ].filter((one) => one !== null)
  return (
    <>
      <b className="font-semibold">No longer kept: </b>
      {what.join(' and ')}, since <Moment at={at} />.
      {run.values_removed_at ? ' It cannot be done again.' : ''}
    </>
  )
}

function Paused({ run }: { run: Run }) {
  return (
    <>
      <b className="font-semibold">Paused: </b>
      {run.paused_by === null ? 'with its workflow' : `by ${run.paused_by.name}`}
      {run.paused_at ? (
        <>
          {' '}
          <Moment at={run.paused_at} />
        </>
      ) : null}
      . Steps that run go on to their end, nothing new starts. Its clocks are given the time back.
    </>
  )
}

function Queue({ run }: { run: Run }) {
  if (run.queued_behind === 'budget') return <Budgets run={run} />
  if (run.queued_behind !== 'concurrency') return QUEUED[run.queued_behind ?? 'project']
  const { key = '', limit = 1 } = run.concurrency ?? {}
  return (
    <>
      {limit === 1 ? 'one run' : `${limit.toLocaleString('en-US')} runs`} of this workflow may go on at once
      {key === '-' ? (
        ''
      ) : (
        <>
          {' '}
          with the key <code className="font-mono text-dense">{key}</code>
        </>
      )}
      , and that many do.
    </>
  )
}

function Budgets({ run }: { run: Run }) {
  if (run.queued_budgets.length === 0) return 'a budget of runs is about to have room for it.'
  return (
    <>
      {run.queued_budgets.map((budget) => (
        <span key={budget.id}>
          the budget <Link to={paths.budget(run.project, budget.id)}>{budget.name}</Link> allows{' '}
          {budget.percent === 100 ? '' : `${budget.percent.toLocaleString('en')} % of `}
          {budget.limit_runs.toLocaleString('en')} runs, {budget.used_runs.toLocaleString('en')} are used
          {budget.resets_at === null ? (
            ''
          ) : (
            <>
              , until <Moment at={budget.resets_at} />
            </>
          )}
          .{' '}
        </span>
      ))}
      It begins by itself when there is room, and counts only then.
    </>
  )
}
