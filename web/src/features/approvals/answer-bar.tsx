import { useQuery } from '@tanstack/react-query'
import { Check, Pencil, UserRoundPlus, X } from 'lucide-react'
import { useRef, useState } from 'react'
import type { Approval } from '@/api/generated/types.gen'
import { APPROVAL_FACE } from '@/components/faces'
import { Status } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { ProblemLine } from '@/components/problem-panel'
import { Input } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useHotkeys } from '@/lib/hotkeys'
import { useApprove } from './api'
import { EditDialog } from './edit-dialog'
import {
  argumentsOf,
  askedRequest,
  gaveAway,
  hasAgreed,
  isOwn,
  missingInWords,
  namesOfAnswerers,
} from './inbox'
import { answerersQuery } from './inbox-api'
import { ReassignDialog } from './reassign-dialog'
import { RejectDialog } from './reject-dialog'

type AnswerBarProps = { approval: Approval; userId: string | undefined }

/** The foot of a question: answer it, or read who may, or how it was answered. */
export function AnswerBar({ approval, userId }: AnswerBarProps) {
  return (
    <section aria-label="Answer" className="sticky bottom-0 border-t border-line bg-surface px-4 py-3">
      {approval.status !== 'pending' ? (
        <Settled approval={approval} />
      ) : isOwn(approval, userId) ? (
        <Own approval={approval} />
      ) : gaveAway(approval, userId) ? (
        <GivenAway approval={approval} />
      ) : !approval.may_answer ? (
        <NotNamed approval={approval} />
      ) : hasAgreed(approval, userId) ? (
        <Agreed approval={approval} />
      ) : (
        <Answer approval={approval} userId={userId} />
      )}
    </section>
  )
}

function Answer({ approval, userId }: AnswerBarProps) {
  const [comment, setComment] = useState('')
  const [rejecting, setRejecting] = useState(false)
  const [editing, setEditing] = useState(false)
  const [reassigning, setReassigning] = useState(false)
  const editable = approval.demands.may_edit && argumentsOf(askedRequest(approval)) !== null
  const approveButton = useRef<HTMLButtonElement>(null)
  const approve = useApprove()
  const send = () =>
    approve.mutate(
      { id: approval.id, shown: approval.request_hash, comment: comment.trim() || null },
      {
        onSuccess: (answered) =>
          toast(answered.status === 'approved' ? 'Approved' : 'Agreed; others have to agree as well'),
      },
    )
  useHotkeys('This approval', [
    // Two keys for a yes: the first one only points at the button.
    { keys: 'a', label: 'Approve, then Enter to confirm', run: () => approveButton.current?.focus() },
    ...(editable ? [{ keys: 'e', label: 'Edit and approve', run: () => setEditing(true) }] : []),
    { keys: 'x', label: 'Reject with a reason', run: () => setRejecting(true) },
    { keys: 'h', label: 'Reassign: hand it on', run: () => setReassigning(true) },
  ])
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Input
        aria-label="Comment"
        placeholder="Comment (optional)"
        maxLength={2000}
        className="min-w-40 flex-1"
        value={comment}
        onChange={(event) => setComment(event.target.value)}
      />
      <PermittedButton
        permission="approval:answer"
        aria-keyshortcuts="h"
        onClick={() => setReassigning(true)}
      >
        <UserRoundPlus aria-hidden />
        Reassign
      </PermittedButton>
      <PermittedButton permission="approval:answer" aria-keyshortcuts="x" onClick={() => setRejecting(true)}>
        <X aria-hidden />
        Reject
      </PermittedButton>
      {editable ? (
        <PermittedButton permission="approval:answer" aria-keyshortcuts="e" onClick={() => setEditing(true)}>
          <Pencil aria-hidden />
          Edit and approve
        </PermittedButton>
      ) : null}
      <PermittedButton
        permission="approval:answer"
        ref={approveButton}
        variant="spark"
        aria-keyshortcuts="a"
        disabled={approve.isPending}
        onClick={send}
      >
        <Check aria-hidden />
        {approve.isPending ? 'Approving' : 'Approve'}
      </PermittedButton>
      <div className="basis-full empty:hidden">
        <ProblemLine error={approve.error} />
      </div>
      <RejectDialog approval={approval} open={rejecting} onOpenChange={setRejecting} />
      {reassigning ? (
        <ReassignDialog approval={approval} userId={userId} onClose={() => setReassigning(false)} />
      ) : null}
      <EditDialog approval={approval} open={editing} onOpenChange={setEditing} />
    </div>
  )
}

function Own({ approval }: { approval: Approval }) {
  const members = useQuery(answerersQuery(approval.project))
  const names = namesOfAnswerers(approval, members.data?.items ?? [])
  return (
    <p>
      You started this run, so somebody else has to answer.
      {names ? ` ${names} may.` : ''}
      {members.data && !names ? ' Nobody else in this project may answer yet.' : ''}
    </p>
  )
}

function GivenAway({ approval }: { approval: Approval }) {
  const members = useQuery(answerersQuery(approval.project))
  const names = namesOfAnswerers(approval, members.data?.items ?? [])
  return (
    <p>
      You let somebody else answer in your place.
      {names ? ` ${names} may.` : ''}
    </p>
  )
}

function NotNamed({ approval }: { approval: Approval }) {
  const members = useQuery(answerersQuery(approval.project))
  const names = namesOfAnswerers(approval, members.data?.items ?? [])
  return (
    <p>
      The rule that asks names other people, and one of them has to answer.
      {names ? ` ${names} may.` : ''}
      {members.data && !names ? ' Nobody it names may answer in this project.' : ''}
    </p>
  )
}

function Agreed({ approval }: { approval: Approval }) {
  return <p>You have agreed. It still takes {missingInWords(approval)}.</p>
}

function Settled({ approval }: { approval: Approval }) {
  return (
    <div className="flex flex-wrap items-center gap-x-2 gap-y-1">
      <Status face={APPROVAL_FACE[approval.status]} />
      {approval.decided_by ? <span>by {approval.decided_by.name}</span> : null}
      {approval.decided_at ? <Moment at={approval.decided_at} className="text-ink-2" /> : null}
      {approval.comment ? <q className="basis-full text-ink-2">{approval.comment}</q> : null}
    </div>
  )
}
