import { type FormEvent, type ReactNode, useState } from 'react'
import { ProblemLine } from './problem-panel'
import { Button } from './ui/button'
import { Dialog, DialogActions, DialogBody } from './ui/dialog'
import { Field } from './ui/field'
import { Input, Textarea } from './ui/input'

type DialogFormProps = {
  /** What the button says that sends the form. */
  action: string
  onSubmit: () => void
  onCancel: () => void
  cancel?: string
  danger?: boolean
  pending: boolean
  /** What went wrong, where no field says it. */
  error: unknown
  /** Whether the browser checks fields before they are sent; a form that says itself what is wrong leaves it out. */
  validate?: boolean
  children: ReactNode
}

/** The content of a dialog that asks for something and sends it. */
export function DialogForm({
  cancel = 'Cancel',
  danger = false,
  validate = false,
  ...given
}: DialogFormProps) {
  const submit = (event: FormEvent) => {
    event.preventDefault()
    given.onSubmit()
  }
  return (
    <form onSubmit={submit} noValidate={!validate} autoComplete="off" className="contents">
      <DialogBody>
        {given.children}
        <ProblemLine error={given.error} />
      </DialogBody>
      <DialogActions>
        <Button onClick={given.onCancel}>{cancel}</Button>
        <Button type="submit" variant={danger ? 'danger' : 'primary'} disabled={given.pending}>
          {given.action}
        </Button>
      </DialogActions>
    </form>
  )
}

type ConfirmDialogProps = Omit<DialogFormProps, 'onSubmit' | 'onCancel' | 'validate'> & {
  open: boolean
  title: string
  onConfirm: () => void
  onClose: () => void
}

/** Asks before something is done that is not undone by a click; it says what then happens. */
export function ConfirmDialog({ open, title, onConfirm, onClose, ...form }: ConfirmDialogProps) {
  return (
    <Dialog open={open} onOpenChange={(next) => (next ? undefined : onClose())} title={title}>
      <DialogForm {...form} onSubmit={onConfirm} onCancel={onClose} />
    </Dialog>
  )
}

type ReasonFormProps = Omit<DialogFormProps, 'onSubmit' | 'children' | 'validate'> & {
  consequences: readonly string[]
  /** Who reads the reason. */
  readers: string
  /** What has to be typed once more; null: nothing. */
  confirm: string | null
  onSubmit: (reason: string) => void
}

/** Before something is held or removed: what it does, why it is done, and the name of what it is done to. */
export function ReasonForm({ consequences, readers, confirm, onSubmit, ...form }: ReasonFormProps) {
  const [reason, setReason] = useState('')
  const [typed, setTyped] = useState('')
  const [checked, setChecked] = useState(false)
  const noReason = reason.trim() === ''
  const unsure = confirm !== null && typed.trim() !== confirm
  const submit = () => {
    setChecked(true)
    if (!noReason && !unsure) onSubmit(reason.trim())
  }
  return (
    <DialogForm {...form} onSubmit={submit}>
      <ul className="grid list-disc gap-1 pl-4">
        {consequences.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
      <Field
        label="Reason"
        required
        hint={`${readers} It is kept in the audit trail.`}
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
      {confirm === null ? null : (
        <Field
          label={`Type “${confirm}” to confirm`}
          required
          error={checked && unsure ? `This must be exactly: ${confirm}` : undefined}
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
    </DialogForm>
  )
}
