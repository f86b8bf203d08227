import { type FormEvent, useState } from 'react'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input, Textarea } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { useOrderHalt } from './api'
import { confirmation, consequences, orderOf, type Switch, targetName } from './halt-words'

type HaltDialogProps = { order: Switch; open: boolean; onOpenChange: (open: boolean) => void }

/** Pausing or stopping: what it does, why it is done, and for a stop the name of what is stopped. */
export function HaltDialog({ order, open, onOpenChange }: HaltDialogProps) {
  const verb = order.kind === 'stop' ? 'Stop' : 'Pause'
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title={`${verb} ${targetName(order.target)}?`}>
      <Form order={order} verb={verb} onClose={() => onOpenChange(false)} />
    </Dialog>
  )
}

function Form({ order, verb, onClose }: { order: Switch; verb: string; onClose: () => void }) {
  const [reason, setReason] = useState('')
  const [typed, setTyped] = useState('')
  const [checked, setChecked] = useState(false)
  const halt = useOrderHalt()
  const wanted = confirmation(order)
  const noReason = reason.trim() === ''
  const unsure = wanted !== null && typed.trim() !== wanted
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setChecked(true)
    if (noReason || unsure) return
    halt.mutate(orderOf(order, reason.trim()), {
      onSuccess: () => {
        onClose()
        toast(order.kind === 'stop' ? 'Stopped: no further call leaves' : 'Paused')
      },
    })
  }
  return (
    <form onSubmit={submit} noValidate className="contents">
      <DialogBody>
        <ul className="grid list-disc gap-1 pl-4">
          {consequences(order).map((one) => (
            <li key={one}>{one}</li>
          ))}
        </ul>
        <Field
          label="Reason"
          required
          hint="Everybody who looks at what is held reads it. It is kept in the audit trail."
          error={checked && noReason ? 'Say why, so that the others can act on it.' : undefined}
        >
          {(wiring) => (
            <Textarea
              {...wiring}
              rows={2}
              maxLength={1000}
              value={reason}
              onChange={(event) => setReason(event.target.value)}
            />
          )}
        </Field>
        {wanted === null ? null : (
          <Field
            label={`Type “${wanted}” to confirm`}
            error={checked && unsure ? `This must be exactly: ${wanted}` : undefined}
          >
            {(wiring) => (
              <Input
                {...wiring}
                autoComplete="off"
                spellCheck={false}
                value={typed}
                onChange={(event) => setTyped(event.target.value)}
              />
            )}
          </Field>
        )}
        <ProblemLine error={halt.error} />
      </DialogBody>
      <DialogActions>
        <Button onClick={onClose}>Leave it running</Button>
        <Button
          type="submit"
          variant={order.kind === 'stop' ? 'danger' : 'primary'}
          disabled={halt.isPending}
        >
          {halt.isPending ? 'Waiting for confirmation' : `${verb} now`}
        </Button>
      </DialogActions>
    </form>
  )
}
