import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { toast } from '@/components/ui/toast'
import { useCancelRun } from './api'

type CancelDialogProps = { runId: string; open: boolean; onOpenChange: (open: boolean) => void }

export function CancelDialog({ runId, open, onOpenChange }: CancelDialogProps) {
  const cancel = useCancelRun(runId)
  const confirm = () =>
    cancel.mutate(undefined, {
      onSuccess: () => {
        onOpenChange(false)
        toast('Run is being cancelled')
      },
    })
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Cancel this run?">
      <DialogBody>
        <p>
          No further step starts. Calls that are under way are finished and recorded; what they cost is
          counted. A cancelled run cannot be resumed.
        </p>
        <ProblemLine error={cancel.error} />
      </DialogBody>
      <DialogActions>
        <Button onClick={() => onOpenChange(false)}>Keep it running</Button>
        <Button variant="danger" disabled={cancel.isPending} onClick={confirm}>
          Cancel this run
        </Button>
      </DialogActions>
    </Dialog>
  )
}
