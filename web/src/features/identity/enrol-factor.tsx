import { type FormEvent, useState } from 'react'
import type { FactorKey } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { CodeField } from './code-field'
import { useBeginFactor, useConfirmFactor } from './factor-api'
import { elsewhere, PasswordField, saidAbout } from './fields'
import { RecoveryCodes } from './recovery-codes'

type EnrolFactorProps = { email: string; onDone: () => void }

/** Sets a second factor up: the password once more, the key for the app, a code of it, the recovery codes. */
export function EnrolFactor({ email, onDone }: EnrolFactorProps) {
  const [shown, setShown] = useState<FactorKey | null>(null)
  const [codes, setCodes] = useState<readonly string[] | null>(null)
  if (codes !== null) return <RecoveryCodes codes={codes} onKept={onDone} />
  if (shown !== null) return <KeyStep shown={shown} onConfirmed={setCodes} />
  return <PasswordStep email={email} onShown={setShown} />
}

function PasswordStep({ email, onShown }: { email: string; onShown: (shown: FactorKey) => void }) {
  const [current, setCurrent] = useState('')
  const begin = useBeginFactor()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    begin.mutate(current, { onSuccess: onShown })
  }
  return (
    <form onSubmit={submit} aria-label="Set up a second factor" className="grid gap-4">
      <input type="hidden" autoComplete="username" value={email} readOnly />
      <PasswordField
        label="Your password"
        autoComplete="current-password"
        error={saidAbout(begin.error, 'current')}
        value={current}
        onChange={setCurrent}
      />
      <ProblemLine error={elsewhere(begin.error, 'current')} />
      <Button type="submit" className="justify-self-start" disabled={begin.isPending}>
        Set up a second factor
      </Button>
    </form>
  )
}

type KeyStepProps = { shown: FactorKey; onConfirmed: (codes: readonly string[]) => void }

function KeyStep({ shown, onConfirmed }: KeyStepProps) {
  const [code, setCode] = useState('')
  const confirm = useConfirmFactor()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    confirm.mutate(code.trim(), { onSuccess: (answer) => onConfirmed(answer.codes) })
  }
  return (
    <form onSubmit={submit} aria-label="Confirm the second factor" className="grid gap-4">
      <p>Scan this with an authenticator app, or type the key into it.</p>
      <img
        src={shown.picture}
        alt="The key as a QR code"
        className="size-48 justify-self-center rounded-md border border-line bg-white"
      />
      <div className="flex items-center gap-2 rounded-md border border-line bg-bg p-2">
        <code className="min-w-0 flex-1 font-mono text-dense">{shown.key.match(/.{1,4}/g)?.join(' ')}</code>
        <CopyButton label="Copy the key" text={() => shown.key} />
      </div>
      <CodeField
        autoFocus
        label="Code that the app shows"
        hint="Six digits. A new one comes every half minute."
        error={saidAbout(confirm.error, 'code')}
        value={code}
        onChange={setCode}
      />
      <ProblemLine error={elsewhere(confirm.error, 'code')} />
      <Button type="submit" variant="primary" className="justify-self-start" disabled={confirm.isPending}>
        Confirm
      </Button>
    </form>
  )
}
