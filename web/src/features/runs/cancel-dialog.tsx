import { ConfirmDialog } from '@/components/dialog-form'
import { toast } from '@/components/ui/toast'
import { useCancelRun } from './api'

type CancelDialogProps = { runId: string; open: boolean; onOpenChange: (open: boolean) => void }

export function CancelDialog({ runId, open, onOpenChange }: CancelDialogProps) {
  const cancel = useCancelRun(runId)
  const close = () => onOpenChange(false)
  return (
    <ConfirmDialog
      open={open}
      onClose={close}
      title="Cancel this run?"
      cancel="Keep it running"
      action="Cancel this run"
      danger
      pending={cancel.isPending}
      error={cancel.error}
      onConfirm={() =>
        cancel.mutate(undefined, {
          onSuccess: () => {
            close()
            toast('Run is being cancelled')
          },
        })
      }
    >
      <p>
        No further step starts. Calls that are under way are finished and recorded; what they cost is counted.
        A cancelled run cannot be resumed.
      </p>
    </ConfirmDialog>
  )
}
