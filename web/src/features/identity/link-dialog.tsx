import type { UserLink } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { formatFull } from '@/lib/format'

/** Shows a one-time link once, to be handed on; or says that it was mailed. */
export function LinkDialog({ made, onClose }: { made: UserLink | null; onClose: () => void }) {
  return (
    <Dialog
      open={made !== null}
      onOpenChange={(open) => (open ? undefined : onClose())}
      title={made?.purpose === 'invite' ? 'Invitation' : 'A new password'}
    >
      {made ? <Content made={made} onClose={onClose} /> : null}
    </Dialog>
  )
}

function Content({ made, onClose }: { made: UserLink; onClose: () => void }) {
  const address = made.link === null ? null : location.origin + made.link
  return (
    <>
      <DialogBody>
        {address === null ? (
          <p>A link was mailed to {made.user.email}.</p>
        ) : (
          <>
            <p>
              Give this link to {made.user.name}, over a way that others do not read. It is not shown again,
              works once, and until {formatFull(made.expires_at)}.
            </p>
            <div className="flex items-center gap-2 rounded-md border border-line bg-bg p-2">
              <code className="min-w-0 flex-1 font-mono text-dense break-all">{address}</code>
              <CopyButton label="Copy the link" text={() => address} />
            </div>
          </>
        )}
      </DialogBody>
      <DialogActions>
        <Button variant="primary" onClick={onClose}>
          Done
        </Button>
      </DialogActions>
    </>
  )
}
