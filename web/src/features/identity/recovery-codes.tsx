import { CopyButton } from '@/components/copy-button'
import { Button } from '@/components/ui/button'

type RecoveryCodesProps = { codes: readonly string[]; onKept: () => void }

/** Shows recovery codes, this once. */
export function RecoveryCodes({ codes, onKept }: RecoveryCodesProps) {
  return (
    <div className="grid gap-4">
      <p>
        Keep these recovery codes where you find them without your phone, and others do not. Each signs you in
        once in place of the app. They are not shown again.
      </p>
      <ul aria-label="Recovery codes" className="grid gap-1 rounded-md border border-line bg-bg p-3">
        {codes.map((code) => (
          <li key={code} className="font-mono text-dense">
            {code}
          </li>
        ))}
      </ul>
      <div className="flex items-center gap-2">
        <Button variant="primary" onClick={onKept}>
          I have kept them
        </Button>
        <CopyButton label="Copy the recovery codes" text={() => codes.join('\n')} />
      </div>
    </div>
  )
}
