import { CopyButton } from '@/components/copy-button'
import { Button } from '@/components/ui/button'
import { DialogActions, DialogBody } from '@/components/ui/dialog'
import { tryOut } from './words'

type ShownKeyProps = { text: string; onDone: () => void }

/** A key, the only time that it is shown. */
export function ShownKey({ text, onDone }: ShownKeyProps) {
  const command = tryOut(text, location.origin)
  return (
    <>
      <DialogBody>
        <p>
          Copy it now and keep it where secrets are kept. It is not stored here, and cannot be shown again.
        </p>
        <Line label="Copy key" text={text} />
        <p>Try it out:</p>
        <Line label="Copy command" text={command} />
      </DialogBody>
      <DialogActions>
        <Button variant="primary" onClick={onDone}>
          I have kept it
        </Button>
      </DialogActions>
    </>
  )
}

function Line({ label, text }: { label: string; text: string }) {
  return (
    <div className="flex items-start gap-2 rounded-md border border-line bg-bg p-2">
      <code className="min-w-0 flex-1 font-mono text-dense break-all">{text}</code>
      <CopyButton label={label} text={() => text} />
    </div>
  )
}
