import { type FormEvent, useState } from 'react'
import type { Project, ProjectSettings } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { useKeep } from './api'
import { readDays } from './days'

const FIELDS = [
  {
    name: 'keep_runs_days',
    label: 'Runs',
    hint: 'An ended run is removed with its steps, calls, files and decisions. Its costs stay in the ledger.',
  },
  {
    name: 'keep_log_days',
    label: 'Logs',
    hint: 'The log of an ended run is removed, and events that were sent to the project; the run stays.',
  },
  {
    name: 'keep_values_days',
    label: 'Values and files',
    hint: 'What an ended run worked with is removed: inputs, outputs, requests, answers. That it happened stays; it cannot be done again.',
  },
] as const

type Name = (typeof FIELDS)[number]['name']

const asText = (days: number | null) => (days === null ? '' : String(days))

/** How long a project keeps what has ended. */
export function KeepForm({ project, mayChange }: { project: Project; mayChange: boolean }) {
  const keep = useKeep(project.slug)
  const [texts, setTexts] = useState<Record<Name, string>>({
    keep_runs_days: asText(project.keep_runs_days),
    keep_log_days: asText(project.keep_log_days),
    keep_values_days: asText(project.keep_values_days),
  })
  const [mistakes, setMistakes] = useState<Partial<Record<Name, string>>>({})
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const read = FIELDS.map(({ name }) => [name, readDays(texts[name])] as const)
    setMistakes(Object.fromEntries(read.map(([name, one]) => [name, one.error])))
    if (read.some(([, one]) => one.error !== undefined)) return
    const body: ProjectSettings = Object.fromEntries(read.map(([name, one]) => [name, one.days]))
    keep.mutate(body, { onSuccess: () => toast('Saved: what is older goes within the hour') })
  }
  return (
    <form onSubmit={submit} noValidate className="grid max-w-xl gap-3">
      {FIELDS.map(({ name, label, hint }) => (
        <Field key={name} label={`${label}, days`} hint={hint} error={mistakes[name]}>
          {(wiring) => (
            <Input
              {...wiring}
              inputMode="numeric"
              className="w-28"
              placeholder="For ever"
              disabled={!mayChange}
              value={texts[name]}
              onChange={(event) => setTexts({ ...texts, [name]: event.target.value })}
            />
          )}
        </Field>
      ))}
      <div>
        {mayChange ? (
          <Button type="submit" disabled={keep.isPending}>
            {keep.isPending ? 'Saving' : 'Save'}
          </Button>
        ) : (
          <span className="text-ink-3">Owners and admins of the project change this.</span>
        )}
      </div>
      <ProblemLine error={keep.error} />
    </form>
  )
}
