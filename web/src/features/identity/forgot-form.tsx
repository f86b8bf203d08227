import { type FormEvent, useState } from 'react'
import { Link } from 'react-router'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { paths } from '@/lib/paths'
import { useForgotPassword } from './api'

/** Asks for a mailed link. It never says whether there is such a person. */
export function ForgotForm() {
  const [email, setEmail] = useState('')
  const forgot = useForgotPassword()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    forgot.mutate(email.trim())
  }
  if (forgot.isSuccess) {
    return (
      <div className="grid gap-4" role="status">
        <p>
          If <b className="font-medium">{forgot.variables}</b> belongs to somebody here, a link is on its way
          to that address. It works once, for half an hour.
        </p>
        <Link to={paths.login()} className="underline">
          Back to signing in
        </Link>
      </div>
    )
  }
  return (
    <form onSubmit={submit} className="grid gap-4">
      <Field label="E-mail" hint="A link to choose another password is sent there.">
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
      <ProblemLine error={forgot.error} />
      <Button type="submit" variant="primary" className="h-9 justify-center" disabled={forgot.isPending}>
        Send the link
      </Button>
      <Link to={paths.login()} className="justify-self-center text-ink-2 underline">
        Back to signing in
      </Link>
    </form>
  )
}
