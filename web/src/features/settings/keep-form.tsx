import { type FormEvent, useState } from 'react'
import type { Project, ProjectSettings } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { useRefusal } from '@/features/access/may'
import { PermittedButton } from '@/features/access/permitted-button'
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
export function KeepForm({ project }: { project: Project }) {
  const refused = useRefusal(project.slug)('project:update')
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
    <form onSubmit={submit} noValidate className="grid gap-4 border-b border-line px-4 py-3">
      {FIELDS.map(({ name, label, hint }) => (
        <Field key={name} label={label} hint={hint} error={mistakes[name]}>
          {(wiring) => (
            <span className="flex items-center gap-2">
              <Input
                {...wiring}
                inputMode="numeric"
                className="w-24"
                placeholder="For ever"
                disabled={refused !== null}
                value={texts[name]}
                onChange={(event) => setTexts({ ...texts, [name]: event.target.value })}
              />
              days
            </span>
          )}
        </Field>
      ))}
      <ProblemLine error={keep.error} />
      <div className="flex items-center gap-3">
        <PermittedButton
          permission="project:update"
          project={project.slug}
          type="submit"
          disabled={keep.isPending}
        >
          {keep.isPending ? 'Saving' : 'Save'}
        </PermittedButton>
        <span className="text-dense text-ink-3">Empty: for ever.</span>
      </div>
    </form>
  )
}
