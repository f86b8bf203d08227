import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Approval } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { APPROVAL_FACE } from '@/components/faces'
import { Status } from '@/components/glyph'
import { ValuesRun } from '@/components/large'
import { Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { AnswerBar } from './answer-bar'
import { AskingBudgets, BUDGET_RULE } from './asking-budgets'
import { Evidence } from './evidence'
import { consentInWords } from './inbox'
import { approvalQuery } from './inbox-api'
import { ProposedRequest } from './proposed-request'

type ApprovalDetailProps = { project: string; id: string; userId: string | undefined }

/** The right pane of the inbox: one question, everything to decide it by, and the answer. */
export function ApprovalDetail({ project, id, userId }: ApprovalDetailProps) {
  const found = useQuery(approvalQuery(project, id))
  if (found.isPending) return <SkeletonRows rows={8} height={40} />
  if (!found.data) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  const approval = found.data
  return (
    <article aria-label={approval.title} className="flex min-h-full flex-col">
      <header className="border-b border-line px-4 py-3">
        <div className="flex flex-wrap items-center gap-x-3 text-dense">
          <Status face={APPROVAL_FACE[approval.status]} />
          {approval.status === 'pending' && approval.escalated_at ? (
            <span className="text-ink-2">
              escalated <Moment at={approval.escalated_at} />
            </span>
          ) : null}
          {approval.reminder ? <span className="text-tx-waiting">half the time is up</span> : null}
          {approval.status === 'pending' && approval.reminded_at ? (
            <span className="text-ink-2">
              reminded <Moment at={approval.reminded_at} />
            </span>
          ) : null}
          <span className="ml-auto">
            <CopyButton label="Copy link" shown="Copy link" text={() => linkTo(approval)} />
          </span>
        </div>
        <h2 className="text-section font-semibold">{approval.title}</h2>
      </header>
      <Facts approval={approval} />
      <div className="flex-1">
        <ValuesRun.Provider value={approval.run_id}>
          <ProposedRequest approval={approval} />
          <Evidence approval={approval} />
        </ValuesRun.Provider>
      </div>
      <AnswerBar key={approval.id} approval={approval} userId={userId} />
    </article>
  )
}

/** The link to a question for mail and chat; whoever opens it signs in first. */
const linkTo = (approval: Approval): string => new URL(approval.link, window.location.origin).href

/** What waits for the answer, where it is the run itself. */
const STAKES: Partial<Record<Approval['subject_kind'], string>> = {
  run: 'Nothing of the run has been done yet. If somebody says no, none of it will be.',
  output:
    'All its steps have ended, and its output is kept back. If somebody says no, the run fails, and what it did is undone where its workflow says how.',
}

const LINK = 'underline underline-offset-2 hover:text-ink-2'

function Facts({ approval }: { approval: Approval }) {
  const run = paths.run(approval.project, approval.run_id)
  const consent = consentInWords(approval)
  return (
    <dl className="grid grid-cols-[112px_minmax(0,1fr)] gap-x-3 gap-y-1 border-b border-line px-4 py-3">
      <Fact name="Why it waits">
        <Why approval={approval} />
      </Fact>
      {approval.budgets.length > 0 ? (
        <Fact name={approval.budgets.length === 1 ? 'Budget' : 'Budgets'}>
          <AskingBudgets approval={approval} />
        </Fact>
      ) : null}
      <Fact name="Workflow">
        <Link to={paths.workflow(approval.project, approval.workflow.id)} className={LINK}>
          {approval.workflow.name}
        </Link>{' '}
        <span className="text-ink-2">version {approval.workflow.version}</span>
      </Fact>
      <Fact name={approval.step_id ? 'Run and step' : 'Run'}>
        <Link to={run} className={LINK} aria-label={`Run ${shortId(approval.run_id)}`}>
          <code className="font-mono text-dense">{shortId(approval.run_id)}</code>
        </Link>
        {approval.step_id ? (
          <>
            ,{' '}
            <Link
              to={`${run}?step=${approval.step_id}`}
              className={LINK}
              aria-label={`Step ${approval.step_key}`}
            >
              {approval.step_key}
            </Link>
          </>
        ) : null}
      </Fact>
      {STAKES[approval.subject_kind] ? <Fact name="Until then">{STAKES[approval.subject_kind]}</Fact> : null}
      <Fact name="Asked">
        <Moment at={approval.requested_at} />
        {approval.requested_by ? `, run started by ${approval.requested_by.name}` : ''}
      </Fact>
      {consent ? (
        <Fact name="Consent">
          {consent}
          <Votes approval={approval} />
        </Fact>
      ) : null}
      {approval.reassigned.length > 0 ? (
        <Fact name="Reassigned">
          <ul aria-label="Reassigned" className="grid gap-0.5">
            {approval.reassigned.map((one) => (
              <li key={one.by.id}>
                {one.by.name} to {one.to.includes('@') ? one.to : `whoever is ${one.to}`}{' '}
                <Moment at={one.at} />
                {one.comment ? <q className="ml-1 text-ink-2">{one.comment}</q> : null}
              </li>
            ))}
          </ul>
        </Fact>
      ) : null}
      {approval.status === 'pending' ? (
        <Fact name="Deadline">
          <Moment at={approval.expires_at} />
          <span className="text-ink-2">, after which nobody can answer</span>
          {approval.escalate_at && !approval.escalated_at ? (
            <span className="text-ink-2">
              ; others may answer too <Moment at={approval.escalate_at} />
            </span>
          ) : null}
        </Fact>
      ) : null}
      {approval.at_stake_micros ? (
        <Fact name="At stake">
          at most <Money micros={approval.at_stake_micros} />
        </Fact>
      ) : null}
      {approval.money_micros === null ? null : (
        <Fact name="Run has spent">
          <Money micros={approval.money_micros} />
        </Fact>
      )}
    </dl>
  )
}

function Votes({ approval }: { approval: Approval }) {
  if (approval.votes.length === 0) return null
  return (
    <ul aria-label="Votes" className="mt-1 grid gap-0.5">
      {approval.votes.map((vote) => (
        <li key={`${vote.by.id} ${vote.at}`} className={vote.current ? undefined : 'text-ink-3'}>
          {vote.by.name} {vote.vote === 'approve' ? 'agreed' : 'said no'} <Moment at={vote.at} />
          {vote.current ? '' : ', before the request was changed'}
          {vote.comment ? <q className="ml-1 text-ink-2">{vote.comment}</q> : null}
        </li>
      ))}
    </ul>
  )
}

function Why({ approval }: { approval: Approval }) {
  if (approval.rule === null) return <>{approval.reason ?? 'The workflow asks a person at this step.'}</>
  if (approval.rule === BUDGET_RULE) {
    return (
      <>
        {approval.budgets.length > 0 ? 'It would go beyond what is allowed without asking.' : approval.reason}{' '}
        <span className="text-ink-2">Asked by a budget, not a policy.</span>
      </>
    )
  }
  return (
    <>
      {approval.reason ?? 'A policy asks for a person’s consent.'}{' '}
      <span className="text-ink-2">
        Rule <code className="font-mono text-dense">{approval.rule}</code> of the policy
      </span>
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
