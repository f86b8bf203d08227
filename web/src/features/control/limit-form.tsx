import { type FormEvent, useState } from 'react'
import type { Permission } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { readLimit } from './limit'

type LimitFormProps = {
  /** What it takes to change it. */
  permission: Permission
  /** As it is now; null: any number. */
  limit: number | null
  saving: boolean
  error: Error | null
  onSave: (limit: number | null, done: () => void) => void
}

/** How many runs go on at once. */
export function LimitForm({ permission, limit, saving, error, onSave }: LimitFormProps) {
  const [text, setText] = useState(limit === null ? '' : String(limit))
  const [mistake, setMistake] = useState<string>()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const read = readLimit(text)
    setMistake(read.error)
    if (read.error === undefined) onSave(read.limit, () => toast('Limit saved'))
  }
  return (
    <form onSubmit={submit} noValidate className="grid max-w-md gap-2">
      <Field
        label="Runs at once"
        hint="Further runs queue, by priority and arrival. Empty: any number. Runs that go on are not touched."
        error={mistake}
      >
        {(wiring) => (
          <div className="flex gap-2">
            <Input
              {...wiring}
              inputMode="numeric"
              className="w-28"
              placeholder="Any number"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
            <PermittedButton permission={permission} type="submit" className="h-7" disabled={saving}>
              {saving ? 'Saving' : 'Save limit'}
            </PermittedButton>
          </div>
        )}
      </Field>
      <ProblemLine error={error} />
    </form>
  )
}
