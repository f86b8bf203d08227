import { type FormEvent, useState } from 'react'
import type { PolicyDetail } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Textarea } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useWithdraw } from './api'

type WithdrawProps = { project: string; policy: PolicyDetail }

/** Lets a policy decide nothing any more. */
export function WithdrawButton({ project, policy }: WithdrawProps) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button onClick={() => setOpen(true)}>Withdraw</Button>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title={`Withdraw ${policy.name}?`}
        description="From now on it decides nothing. Its versions stay, and any of them can be published again."
      >
        <Form project={project} policy={policy} onClose={() => setOpen(false)} />
      </Dialog>
    </>
  )
}

function Form({ project, policy, onClose }: WithdrawProps & { onClose: () => void }) {
  const [note, setNote] = useState('')
  const withdraw = useWithdraw(project, policy.id)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    withdraw.mutate(note.trim() === '' ? null : note.trim(), {
      onSuccess: () => {
        onClose()
        toast(`${policy.name} is withdrawn`)
      },
    })
  }
  return (
    <form onSubmit={submit} noValidate className="contents">
      <DialogBody>
        <Field label="Why" hint="Shown in the version history.">
          {(wiring) => (
            <Textarea
              {...wiring}
              rows={2}
              maxLength={2000}
              value={note}
              onChange={(event) => setNote(event.target.value)}
            />
          )}
        </Field>
        <ProblemLine error={withdraw.error} />
      </DialogBody>
      <DialogActions>
        <Button onClick={onClose}>Leave it in force</Button>
        <PermittedButton
          permission="policy:publish"
          type="submit"
          variant="danger"
          disabled={withdraw.isPending}
        >
          {withdraw.isPending ? 'Withdrawing' : 'Withdraw now'}
        </PermittedButton>
      </DialogActions>
    </form>
  )
}
