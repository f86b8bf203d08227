import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { useChangePassword } from './api'
import { CodeField } from './code-field'
import { factorQuery } from './factor-api'
import { elsewhere, NEW_PASSWORD_HINT, PasswordField, saidAbout } from './fields'

export function PasswordForm({ email }: { email: string }) {
  const [current, setCurrent] = useState('')
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const factor = useQuery(factorQuery)
  const asksForCode = factor.data?.enrolled_at != null
  const change = useChangePassword()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    change.mutate(
      { current, password, ...(asksForCode ? { code } : {}) },
      {
        onSuccess: () => {
          setCurrent('')
          setPassword('')
          setCode('')
          toast('Password changed. You are signed out everywhere else.')
        },
      },
    )
  }
  return (
    <form onSubmit={submit} aria-label="Password" className="grid content-start gap-4">
      <h2 className="text-section font-semibold">Password</h2>
      <input type="hidden" autoComplete="username" value={email} readOnly />
      <PasswordField
        label="Present password"
        autoComplete="current-password"
        error={saidAbout(change.error, 'current')}
        value={current}
        onChange={setCurrent}
      />
      <PasswordField
        label="New password"
        autoComplete="new-password"
        hint={NEW_PASSWORD_HINT}
        error={saidAbout(change.error, 'password')}
        value={password}
        onChange={setPassword}
      />
      {asksForCode ? (
        <CodeField error={saidAbout(change.error, 'code')} value={code} onChange={setCode} />
      ) : null}
      <ProblemLine error={elsewhere(change.error, 'current', 'password', 'code')} />
      <Button type="submit" className="justify-self-start" disabled={change.isPending}>
        Change password
      </Button>
    </form>
  )
}
