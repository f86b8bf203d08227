import { type FormEvent, useState } from 'react'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { useSetUp } from './api'
import { elsewhere, NEW_PASSWORD_HINT, PasswordField, saidAbout } from './fields'
import { LinkGate } from './link-gate'

type SetUpFormProps = { token: string; onDone: () => void }

/** Makes the first administrator. */
export function SetUpForm({ token, onDone }: SetUpFormProps) {
  return (
    <LinkGate token={token} purposes={['setup']}>
      {() => <Form token={token} onDone={onDone} />}
    </LinkGate>
  )
}

function Form({ token, onDone }: SetUpFormProps) {
  const [email, setEmail] = useState('')
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const setUp = useSetUp()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setUp.mutate({ token, email: email.trim(), name: name.trim(), password }, { onSuccess: onDone })
  }
  return (
    <form onSubmit={submit} className="grid gap-4">
      <p className="text-ink-2">You become the administrator of this installation. The link works once.</p>
      <Field label="Name">
        {(wiring) => (
          <Input
            {...wiring}
            required
            autoFocus
            autoComplete="name"
            maxLength={200}
            className="h-9"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label="E-mail" error={saidAbout(setUp.error, 'email')}>
        {(wiring) => (
          <Input
            {...wiring}
            type="email"
            autoComplete="username"
            required
            className="h-9"
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
        )}
      </Field>
      <PasswordField
        label="Password"
        autoComplete="new-password"
        hint={NEW_PASSWORD_HINT}
        error={saidAbout(setUp.error, 'password')}
        value={password}
        onChange={setPassword}
      />
      <ProblemLine error={elsewhere(setUp.error, 'email', 'password')} />
      <Button type="submit" variant="primary" className="h-9 justify-center" disabled={setUp.isPending}>
        Become the administrator
      </Button>
    </form>
  )
}
