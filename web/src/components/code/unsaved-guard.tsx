import { useCallback } from 'react'
import { useBeforeUnload, useBlocker } from 'react-router'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'

/** While it is shown, leaving the page asks first. For text that is nowhere but on the page. */
export function UnsavedGuard() {
  const blocker = useBlocker(
    ({ currentLocation, nextLocation }) => currentLocation.pathname !== nextLocation.pathname,
  )
  useBeforeUnload(useCallback((event: BeforeUnloadEvent) => event.preventDefault(), []))
  return (
    <Dialog
      open={blocker.state === 'blocked'}
      onOpenChange={(open) => !open && blocker.reset?.()}
      title="Leave without saving?"
    >
      <DialogBody>
        <p>This browser has no room to keep the draft. What you changed is lost when you leave.</p>
      </DialogBody>
      <DialogActions>
        <Button onClick={() => blocker.reset?.()}>Stay</Button>
        <Button variant="danger" onClick={() => blocker.proceed?.()}>
          Leave and lose it
        </Button>
      </DialogActions>
    </Dialog>
  )
}
