import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Approval, Role } from '@/api/generated/types.gen'
import { DialogForm } from '@/components/dialog-form'
import { Dialog } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input, Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { ROLE_WORDS } from '@/features/access/may'
import { useReassign } from './api'
import { answers } from './inbox'
import { answerersQuery } from './inbox-api'

type ReassignDialogProps = { approval: Approval; userId: string | undefined; onClose: () => void }

/** Letting somebody else answer in one's place: another member, or whoever has a role. */
export function ReassignDialog({ approval, userId, onClose }: ReassignDialogProps) {
  const [to, setTo] = useState('')
  const [comment, setComment] = useState('')
  const members = useQuery(answerersQuery(approval.project))
  const reassign = useReassign()
  const others = (members.data?.items ?? []).filter(
    (one) => answers(one) && one.user_id !== userId && one.user_id !== approval.requested_by?.id,
  )
  const roles = (Object.keys(ROLE_WORDS) as Role[]).filter((role) => others.some((one) => one.role === role))
  const submit = () =>
    reassign.mutate(
      { id: approval.id, to, comment: comment.trim() || null },
      {
        onSuccess: () => {
          onClose()
          toast('Reassigned')
        },
      },
    )
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? null : onClose())}
      title="Reassign"
      description={approval.title}
    >
      <DialogForm
        validate
        action="Reassign"
        pending={reassign.isPending}
        error={reassign.error}
        onCancel={onClose}
        onSubmit={submit}
      >
        <Field
          label="Who answers in your place"
          hint="You do not answer then. Whoever else may answer still may."
        >
          {(wiring) => (
            <Select {...wiring} required value={to} onChange={(event) => setTo(event.target.value)}>
              <option value="">Choose</option>
              <optgroup label="People">
                {others.map((one) => (
                  <option key={one.user_id} value={one.email}>
                    {one.name || one.email}
                  </option>
                ))}
              </optgroup>
              <optgroup label="Whoever is">
                {roles.map((role) => (
                  <option key={role} value={role}>
                    {ROLE_WORDS[role]}
                  </option>
                ))}
              </optgroup>
            </Select>
          )}
        </Field>
        <Field label="Comment">
          {(wiring) => (
            <Input
              {...wiring}
              maxLength={2000}
              value={comment}
              onChange={(event) => setComment(event.target.value)}
            />
          )}
        </Field>
      </DialogForm>
    </Dialog>
  )
}
