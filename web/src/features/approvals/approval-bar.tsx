import { Check, X } from 'lucide-react'
import { useState } from 'react'
import { Link } from 'react-router'
import type { Approval } from '@/api/generated/types.gen'
import { Glyph } from '@/components/glyph'
import { JsonView } from '@/components/json-view'
import { Moment } from '@/components/moment'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { paths } from '@/lib/paths'
import { useApprove } from './api'
import { AskingBudgets, BUDGET_RULE } from './asking-budgets'
import { askedRequest, gaveAway, hasAgreed, isOwn, missingInWords } from './inbox'
import { RejectDialog } from './reject-dialog'

type ApprovalBarProps = {
  approvals: readonly Approval[]
  /** Who looks at it: nobody answers what they asked for themselves. */
  userId: string | undefined
  onShowStep?: ((stepId: string) => void) | undefined
}

/** The one amber bar: a person has to decide before the run goes on. One question at a time. */
export function ApprovalBar({ approvals, userId, onShowStep }: ApprovalBarProps) {
  const approval = approvals[0]
  if (!approval) return null
  return (
    <Question
      key={approval.id}
      approval={approval}
      others={approvals.length - 1}
      own={isOwn(approval, userId)}
      agreed={hasAgreed(approval, userId)}
      gaveAway={gaveAway(approval, userId)}
      onShowStep={onShowStep}
    />
  )
}

type QuestionProps = {
  approval: Approval
  others: number
  own: boolean
  agreed: boolean
  gaveAway: boolean
  onShowStep: ApprovalBarProps['onShowStep']
}

function Question({ approval, others, own, agreed, gaveAway, onShowStep }: QuestionProps) {
  const [rejecting, setRejecting] = useState(false)
  const approve = useApprove()
  const answer = () =>
    approve.mutate(
      { id: approval.id, shown: approval.request_hash },
      {
        onSuccess: ({ status }) =>
          toast(status === 'approved' ? 'Approved' : 'Agreed; others have to agree as well'),
      },
    )
  return (
    <section
      aria-label="Needs approval"
      className="border-b border-line border-l-[3px] border-l-st-waiting bg-bg px-4 py-2"
    >
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <div className="flex min-w-0 flex-1 basis-72 flex-wrap items-center gap-x-2.5">
          <span className="flex items-center gap-1.5 font-semibold text-tx-waiting">
            <Glyph tone="waiting" />
            Needs approval
          </span>
          <span className="font-medium">{approval.title}</span>
          <span className="text-ink-2">
            <Asked approval={approval} onShowStep={onShowStep} />
            {others > 0 ? `, and ${others} more` : ''}
          </span>
        </div>
        {own ? (
          <p className="text-ink-2">You started this run, so somebody else has to answer.</p>
        ) : gaveAway ? (
          <p className="text-ink-2">You let somebody else answer in your place.</p>
        ) : !approval.may_answer ? (
          <p className="text-ink-2">The rule that asks names other people, and one of them has to answer.</p>
        ) : agreed ? (
          <p className="text-ink-2">You have agreed. It still takes {missingInWords(approval)}.</p>
        ) : (
          <div className="flex gap-2">
            <Button onClick={() => setRejecting(true)}>
              <X aria-hidden />
              Reject
            </Button>
            <PermittedButton
              permission="approval:answer"
              variant="spark"
              disabled={approve.isPending}
              onClick={answer}
            >
              <Check aria-hidden />
              {approve.isPending ? 'Approving' : 'Approve'}
            </PermittedButton>
          </div>
        )}
      </div>
      {approval.reason && (approval.rule !== BUDGET_RULE || approval.budgets.length === 0) ? (
        <p className="mt-0.5 text-ink-2">{approval.reason}</p>
      ) : null}
      {approval.budgets.length > 0 ? <AskingBudgets approval={approval} /> : null}
      <details className="mt-0.5">
        <summary className="text-ink-2">What is asked</summary>
        <JsonView label="What is asked" value={askedRequest(approval)} className="mt-1 max-w-3xl" />
      </details>
      <p className="mt-0.5">
        <Link
          to={`${paths.approvals(approval.project)}?state=open&item=${approval.id}`}
          className="underline underline-offset-2 hover:text-ink-2"
        >
          Open in the inbox
        </Link>
        <span className="text-ink-2">, with what was asked back and what came before</span>
      </p>
      <ProblemLine error={approve.error} />
      <RejectDialog approval={approval} open={rejecting} onOpenChange={setRejecting} />
    </section>
  )
}

function Asked({ approval, onShowStep }: { approval: Approval; onShowStep: ApprovalBarProps['onShowStep'] }) {
  return (
    <>
      <Asker approval={approval} onShowStep={onShowStep} />
      {approval.rule && approval.rule !== BUDGET_RULE ? (
        <>
          , held by <code className="font-mono text-dense">{approval.rule}</code>
        </>
      ) : null}
      , expires <Moment at={approval.expires_at} />
    </>
  )
}

type AskerProps = { approval: Approval; onShowStep: ApprovalBarProps['onShowStep'] }

/** The step that asks; where the question is about the run itself, a budget or the policy does. */
function Asker({ approval: { step_id: stepId, step_key: stepKey, rule }, onShowStep }: AskerProps) {
  if (stepId === null) return <>Asked by {rule === BUDGET_RULE ? 'a budget' : 'the policy'}</>
  if (!onShowStep) return <>Asked by {stepKey}</>
  return (
    <>
      Asked by{' '}
      <button type="button" className="underline underline-offset-2" onClick={() => onShowStep(stepId)}>
        {stepKey}
      </button>
    </>
  )
}
