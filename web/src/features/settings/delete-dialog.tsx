import { ReasonForm } from '@/components/dialog-form'
import { Dialog } from '@/components/ui/dialog'
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
export function DeleteDialog({ open, onOpenChange, ...given }: DeleteDialogProps) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title={`Delete ${given.project}?`}>
      <Form {...given} onClose={() => onOpenChange(false)} />
    </Dialog>
  )
}

type FormProps = { project: string; delaySeconds: number; onClose: () => void }

function Form({ project, delaySeconds, onClose }: FormProps) {
  const ask = useAskDeletion(project)
  return (
    <ReasonForm
      consequences={[
        'The project is stopped at once: nothing starts, and no further call leaves.',
        `Its runs, workflows, agents, policies, budgets and files are removed ${delayWords(delaySeconds)}.`,
        'Until then an owner can take it back. Afterwards nobody can, but from a backup.',
        'The audit trail is kept.',
      ]}
      readers="Everybody in the project reads it."
      confirm={project}
      cancel="Keep it"
      action="Delete project"
      danger
      pending={ask.isPending}
      error={ask.error}
      onCancel={onClose}
      onSubmit={(reason) =>
        ask.mutate(
          { slug: project, reason },
          {
            onSuccess: () => {
              onClose()
              toast('Stopped, and to be deleted')
            },
          },
        )
      }
    />
  )
}
