import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import type { Factor } from '@/api/generated/types.gen'
import { useSession } from '@/api/use-session'
import { Moment } from '@/components/moment'
import { ProblemLine, ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { plural } from '@/lib/format'
import { CodeField } from './code-field'
import { EnrolFactor } from './enrol-factor'
import { factorQuery, useFactorSeen, useRemoveFactor, useRenewRecoveryCodes } from './factor-api'
import { elsewhere, PasswordField, saidAbout } from './fields'
import { RecoveryCodes } from './recovery-codes'

/** The caller's second factor: setting it up, new recovery codes, being without it again. */
export function FactorSection() {
  const factor = useQuery(factorQuery)
  return (
    <section aria-label="Second factor" className="grid max-w-md gap-4 px-4 pb-8">
      <div>
        <h2 className="text-section font-semibold">Second factor</h2>
        <p className="text-ink-2">
          A code of an app on your phone, besides the password: who has learnt that one does not get in with
          it.
        </p>
      </div>
      {factor.isPending ? <SkeletonRows rows={1} /> : null}
      {factor.isError ? <ProblemPanel error={factor.error} onRetry={() => void factor.refetch()} /> : null}
      {factor.data ? <Content factor={factor.data} /> : null}
    </section>
  )
}

function Content({ factor }: { factor: Factor }) {
  const session = useSession()
  const seen = useFactorSeen()
  if (factor.enrolled_at !== null) return <Enrolled factor={factor} since={factor.enrolled_at} />
  if (!factor.has_password) {
    return <p>You have no password here: what your provider asks for besides its own is set there.</p>
  }
  return (
    <EnrolFactor
      email={session.phase === 'in' ? session.user.email : ''}
      onDone={() => {
        toast('Second factor set up. You are signed out everywhere else.')
        void seen()
      }}
    />
  )
}

function Enrolled({ factor, since }: { factor: Factor; since: string }) {
  const [doing, setDoing] = useState<'renew' | 'remove' | null>(null)
  const [codes, setCodes] = useState<readonly string[] | null>(null)
  const done = () => {
    setDoing(null)
    setCodes(null)
  }
  if (codes !== null) return <RecoveryCodes codes={codes} onKept={done} />
  return (
    <>
      <p>
        Set up <Moment at={since} />. {plural(factor.recovery_codes, 'recovery code')} left.
      </p>
      {doing === 'renew' ? <RenewForm onCancel={done} onMade={setCodes} /> : null}
      {doing === 'remove' ? <RemoveForm onCancel={done} demanded={factor.demanded} /> : null}
      {doing === null ? (
        <div className="flex gap-2">
          <Button onClick={() => setDoing('renew')}>New recovery codes</Button>
          <Button onClick={() => setDoing('remove')}>Remove</Button>
        </div>
      ) : null}
    </>
  )
}

function RenewForm({
  onCancel,
  onMade,
}: {
  onCancel: () => void
  onMade: (codes: readonly string[]) => void
}) {
  const renew = useRenewRecoveryCodes()
  return (
    <ConfirmationForm
      label="New recovery codes"
      hint="The codes from before work no more."
      change={renew}
      onCancel={onCancel}
      onSubmit={(body) => renew.mutate(body, { onSuccess: (answer) => onMade(answer.codes) })}
    />
  )
}

function RemoveForm({ onCancel, demanded }: { onCancel: () => void; demanded: boolean }) {
  const remove = useRemoveFactor()
  return (
    <ConfirmationForm
      label="Remove the second factor"
      hint={
        demanded
          ? 'Another one has to be set up before anything else.'
          : 'The password alone will let you in again.'
      }
      change={remove}
      onCancel={onCancel}
      onSubmit={(body) => remove.mutate(body)}
    />
  )
}

type ConfirmationFormProps = {
  label: string
  hint: string
  change: { error: unknown; isPending: boolean }
  onCancel: () => void
  onSubmit: (body: { current: string; code: string }) => void
}

/** Asks for the password and a code once more. */
function ConfirmationForm({ label, hint, change, onCancel, onSubmit }: ConfirmationFormProps) {
  const [current, setCurrent] = useState('')
  const [code, setCode] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onSubmit({ current, code: code.trim() })
  }
  return (
    <form onSubmit={submit} aria-label={label} className="grid gap-4">
      <p>{hint}</p>
      <PasswordField
        label="Your password"
        autoComplete="current-password"
        autoFocus
        error={saidAbout(change.error, 'current')}
        value={current}
        onChange={setCurrent}
      />
      <CodeField error={saidAbout(change.error, 'code')} value={code} onChange={setCode} />
      <ProblemLine error={elsewhere(change.error, 'current', 'code')} />
      <div className="flex gap-2">
        <Button type="submit" variant="primary" disabled={change.isPending}>
          {label}
        </Button>
        <Button onClick={onCancel}>Cancel</Button>
      </div>
    </form>
  )
}
