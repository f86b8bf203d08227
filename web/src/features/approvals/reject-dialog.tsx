import { type FormEvent, useState } from 'react'
import type { Approval } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Textarea } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useReject } from './api'

type RejectDialogProps = { approval: Approval; open: boolean; onOpenChange: (open: boolean) => void }

/** Saying no needs a reason: the run and its people read it. */
export function RejectDialog({ approval, open, onOpenChange }: RejectDialogProps) {
  const [reason, setReason] = useState('')
  const [missing, setMissing] = useState(false)
  const reject = useReject()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const given = reason.trim()
    setMissing(given === '')
    if (given === '') return
    reject.mutate(
      { id: approval.id, reason: given },
      {
        onSuccess: () => {
          onOpenChange(false)
          toast('Rejected')
        },
      },
    )
  }
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Reject" description={approval.title}>
      <form onSubmit={submit} noValidate className="contents">
        <DialogBody>
          <Field
            label="Reason"
            required
            error={missing ? 'Say why, so that the others can act on it.' : undefined}
          >
            {(wiring) => (
              <Textarea
                {...wiring}
                rows={3}
                value={reason}
                onChange={(event) => setReason(event.target.value)}
              />
            )}
          </Field>
          <ProblemLine error={reject.error} />
        </DialogBody>
        <DialogActions>
          <Button onClick={() => onOpenChange(false)}>Back</Button>
          <PermittedButton
            permission="approval:answer"
            type="submit"
            variant="danger"
            disabled={reject.isPending}
          >
            Reject request
          </PermittedButton>
        </DialogActions>
      </form>
    </Dialog>
  )
}
