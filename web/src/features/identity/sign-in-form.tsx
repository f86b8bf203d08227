import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Link } from 'react-router'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { paths } from '@/lib/paths'
import { signInOptionsQuery, useSignIn } from './api'
import { CodeForm } from './code-form'
import { PasswordField } from './fields'

/** Signs in with a password, and with a code where there is a second factor. */
export function SignInForm() {
  const [waiting, setWaiting] = useState(false)
  const [again, setAgain] = useState<string | null>(null)
  if (waiting) {
    return (
      <CodeForm
        onVoid={(why) => {
          setAgain(why)
          setWaiting(false)
        }}
      />
    )
  }
  return <PasswordStep again={again} onCodeAsked={() => setWaiting(true)} />
}

type PasswordStepProps = { again: string | null; onCodeAsked: () => void }

function PasswordStep({ again, onCodeAsked }: PasswordStepProps) {
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const options = useQuery(signInOptionsQuery)
  const signIn = useSignIn()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    signIn.mutate(
      { email: email.trim(), password },
      { onSuccess: (answer) => ('factor' in answer ? onCodeAsked() : undefined) },
    )
  }
  return (
    <form onSubmit={submit} className="grid gap-4">
      {options.data?.set_up === false ? (
        <p className="text-ink-2">
          Nobody is here yet. Open the link that <code className="font-mono text-dense">sparkops up</code>{' '}
          printed: it makes you the administrator.
        </p>
      ) : null}
      <Field label="E-mail">
        {(wiring) => (
          <Input
            {...wiring}
            type="email"
            autoComplete="username"
            required
            autoFocus
            className="h-9"
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
        )}
      </Field>
      <PasswordField
        label="Password"
        autoComplete="current-password"
        value={password}
        onChange={setPassword}
      />
      {again && !signIn.error ? (
        <p role="alert" className="text-tx-failed">
          {again}
        </p>
      ) : null}
      <ProblemLine error={signIn.error} />
      <Button type="submit" variant="primary" className="h-9 justify-center" disabled={signIn.isPending}>
        {signIn.isPending ? 'Signing in' : 'Sign in'}
      </Button>
      <Forgotten mail={options.data?.mail} />
    </form>
  )
}

function Forgotten({ mail }: { mail: boolean | undefined }) {
  if (mail === undefined) return null
  if (mail) {
    return (
      <Link to={paths.forgot()} className="justify-self-center text-ink-2 underline">
        Forgotten your password?
      </Link>
    )
  }
  return <p className="text-dense text-ink-3">Forgotten your password? An administrator gives you a link.</p>
}
