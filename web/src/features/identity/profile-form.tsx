import { type FormEvent, useState } from 'react'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { useUpdateMe } from './api'

export function ProfileForm({ name }: { name: string }) {
  const [typed, setTyped] = useState(name)
  const update = useUpdateMe()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    update.mutate(typed.trim(), { onSuccess: () => toast('Name changed') })
  }
  return (
    <form onSubmit={submit} aria-label="Profile" className="grid content-start gap-4">
      <h2 className="text-section font-semibold">Profile</h2>
      <Field label="Name" hint="Others see it beside what you do.">
        {(wiring) => (
          <Input
            {...wiring}
            required
            maxLength={200}
            autoComplete="name"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
      </Field>
      <ProblemLine error={update.error} />
      <Button
        type="submit"
        className="justify-self-start"
        disabled={update.isPending || typed.trim() === name || typed.trim() === ''}
      >
        Change name
      </Button>
    </form>
  )
}
