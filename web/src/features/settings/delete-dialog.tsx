import { type FormEvent, useState } from 'react'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input, Textarea } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { useAskDeletion } from './api'
import { delayWords } from './days'

type DeleteDialogProps = {
  project: string
  delaySeconds: number
  open: boolean
  onOpenChange: (open: boolean) => void
}

/** Asking for the deletion of a project: what goes, when, why, and its name once more. */
export function DeleteDialog({ project, delaySeconds, open, onOpenChange }: DeleteDialogProps) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title={`Delete ${project}?`}>
      <Form project={project} delaySeconds={delaySeconds} onClose={() => onOpenChange(false)} />
    </Dialog>
  )
}

function Form({
  project,
  delaySeconds,
  onClose,
}: Pick<DeleteDialogProps, 'project' | 'delaySeconds'> & { onClose: () => void }) {
  const [reason, setReason] = useState('')
  const [typed, setTyped] = useState('')
  const [checked, setChecked] = useState(false)
  const ask = useAskDeletion(project)
  const noReason = reason.trim() === ''
  const unsure = typed.trim() !== project
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setChecked(true)
    if (noReason || unsure) return
    ask.mutate(
      { slug: project, reason: reason.trim() },
      {
        onSuccess: () => {
          onClose()
          toast('Stopped, and to be deleted')
        },
      },
    )
  }
  return (
    <form onSubmit={submit} noValidate className="contents">
      <DialogBody>
        <ul className="grid list-disc gap-1 pl-4">
          <li>The project is stopped at once: nothing starts, and no further call leaves.</li>
          <li>
            Its runs, workflows, agents, policies, budgets and files are removed {delayWords(delaySeconds)}.
          </li>
          <li>Until then an owner can take it back. Afterwards nobody can, but from a backup.</li>
          <li>The audit trail is kept.</li>
        </ul>
        <Field
          label="Reason"
          required
          hint="Everybody in the project reads it. It is kept in the audit trail."
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
        <Field
          label={`Type “${project}” to confirm`}
          error={checked && unsure ? `This must be exactly: ${project}` : undefined}
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
        <ProblemLine error={ask.error} />
      </DialogBody>
      <DialogActions>
        <Button onClick={onClose}>Keep it</Button>
        <Button type="submit" variant="danger" disabled={ask.isPending}>
          Delete project
        </Button>
      </DialogActions>
    </form>
  )
}
