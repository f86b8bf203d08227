import { Link } from 'react-router'
import type { Approval } from '@/api/generated/types.gen'
import { APPROVAL_FACE } from '@/components/faces'
import { Glyph } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { cn } from '@/lib/cn'
import { formatMoney } from '@/lib/format'
import { isOwn, SUBJECT_WORDS } from './inbox'

type ApprovalListProps = {
  approvals: readonly Approval[]
  selectedId: string | null
  userId: string | undefined
  hrefOf: (approval: Approval) => string
}

/** The left pane of the inbox: one question per item. */
export function ApprovalList({ approvals, selectedId, userId, hrefOf }: ApprovalListProps) {
  return (
    <ul aria-label="Approvals" className="min-w-0">
      {approvals.map((approval) => (
        <li key={approval.id} className="border-b border-line">
          <Link
            to={hrefOf(approval)}
            replace
            aria-current={approval.id === selectedId ? 'true' : undefined}
            className={cn(
              'grid grid-cols-[14px_minmax(0,1fr)] gap-x-2.5 border-l-2 border-transparent px-3.5 py-2 hover:bg-raised',
              'focus-visible:outline-offset-[-2px] aria-[current]:border-l-ink aria-[current]:bg-raised',
            )}
          >
            <Glyph tone={APPROVAL_FACE[approval.status].tone} className="mt-[3px]" />
            <Item approval={approval} own={isOwn(approval, userId)} />
          </Link>
        </li>
      ))}
    </ul>
  )
}

/** What sets an open question apart: how far it is agreed to, whether it hurries, what it may cost. */
function Marks({ approval }: { approval: Approval }) {
  const lastReassigned = approval.reassigned.at(-1)
  const marks = [
    approval.demands.quorum > 1 ? `${approval.agreed} of ${approval.demands.quorum} agreed` : null,
    approval.edited_by ? `changed by ${approval.edited_by.name}` : null,
    approval.escalated_at ? 'escalated' : null,
    approval.reminded_at ? 'reminded' : null,
    lastReassigned ? `reassigned by ${lastReassigned.by.name}` : null,
    approval.at_stake_micros ? `at most ${formatMoney(approval.at_stake_micros)}` : null,
  ].filter((one) => one !== null)
  if (marks.length === 0 && !approval.reminder) return null
  return (
    <span className="truncate text-dense text-ink-2">
      {marks.join(', ')}
      {approval.reminder ? (
        <span className="text-tx-waiting">{marks.length > 0 ? ', ' : ''}half the time is up</span>
      ) : null}
    </span>
  )
}

function Item({ approval, own }: { approval: Approval; own: boolean }) {
  const open = approval.status === 'pending'
  return (
    <span className="grid min-w-0">
      <span className="truncate font-medium">{approval.title}</span>
      <span className="truncate text-dense text-ink-2">
        {approval.workflow.name}, {approval.step_key ?? SUBJECT_WORDS[approval.subject_kind]}
        {approval.rule ? `, rule ${approval.rule}` : ''}
        {own ? ', asked by you' : ''}
      </span>
      {open ? <Marks approval={approval} /> : null}
      <span className="truncate text-dense text-ink-3">
        {open ? (
          <>
            Asked <Moment at={approval.requested_at} />, until <Moment at={approval.expires_at} />
          </>
        ) : (
          <>
            {APPROVAL_FACE[approval.status].label}
            {approval.decided_by ? ` by ${approval.decided_by.name}` : ''}{' '}
            {approval.decided_at ? <Moment at={approval.decided_at} /> : null}
          </>
        )}
      </span>
    </span>
  )
}
