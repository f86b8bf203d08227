import { type FormEvent, useState } from 'react'
import type { LinkShown } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { useChoosePassword } from './api'
import { elsewhere, NEW_PASSWORD_HINT, PasswordField, saidAbout } from './fields'
import { LinkGate } from './link-gate'

type ChoosePasswordFormProps = { token: string; onChosen: () => void }

/** Chooses a password through a one-time link: another one, or the first. */
export function ChoosePasswordForm({ token, onChosen }: ChoosePasswordFormProps) {
  return (
    <LinkGate token={token} purposes={['reset', 'invite']}>
      {(link) => <Form token={token} link={link} onChosen={onChosen} />}
    </LinkGate>
  )
}

function Form({ token, link, onChosen }: ChoosePasswordFormProps & { link: LinkShown }) {
  const [password, setPassword] = useState('')
  const choose = useChoosePassword()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    choose.mutate({ token, password }, { onSuccess: onChosen })
  }
  return (
    <form onSubmit={submit} className="grid gap-4">
      <p>
        {link.purpose === 'invite' ? `Welcome, ${link.name}. ` : ''}
        This is the password of <b className="font-medium">{link.email}</b>
        {link.purpose === 'reset' ? ', who is signed out everywhere once it is chosen.' : '.'}
      </p>
      <input type="hidden" autoComplete="username" value={link.email ?? ''} readOnly />
      <PasswordField
        label="New password"
        autoComplete="new-password"
        autoFocus
        hint={NEW_PASSWORD_HINT}
        error={saidAbout(choose.error, 'password')}
        value={password}
        onChange={setPassword}
      />
      <ProblemLine error={elsewhere(choose.error, 'password')} />
      <Button type="submit" variant="primary" className="h-9 justify-center" disabled={choose.isPending}>
        Choose this password
      </Button>
    </form>
  )
}
