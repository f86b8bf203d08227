import { ReasonForm } from '@/components/dialog-form'
import { Dialog } from '@/components/ui/dialog'
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
  const halt = useOrderHalt()
  return (
    <ReasonForm
      consequences={consequences(order)}
      readers="Everybody who looks at what is held reads it."
      confirm={confirmation(order)}
      cancel="Leave it running"
      action={halt.isPending ? 'Waiting for confirmation' : `${verb} now`}
      danger={order.kind === 'stop'}
      pending={halt.isPending}
      error={halt.error}
      onCancel={onClose}
      onSubmit={(reason) =>
        halt.mutate(orderOf(order, reason), {
          onSuccess: () => {
            onClose()
            toast(order.kind === 'stop' ? 'Stopped: no further call leaves' : 'Paused')
          },
        })
      }
    />
  )
}
