import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Permission, Project, Role } from '@/api/generated/types.gen'
import { DialogForm } from '@/components/dialog-form'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input, Select } from '@/components/ui/input'
import { scopesQuery } from './api'
import { givable, grouped, LASTS } from './words'

export type KeyDraft = {
  name: string
  scopes: Permission[]
  projects: string[]
  expires_in_days: number | null
}

type KeyFormProps = {
  /** The projects to choose from; null: the key belongs to one project anyway. */
  projects: readonly Project[] | null
  /** The role that the key acts in, where there is nothing to choose. */
  role?: Role
  saving: boolean
  error: Error | null
  onClose: () => void
  onSave: (draft: KeyDraft) => void
}

/** What a key is for: its name, where, what it may do, and for how long. */
export function KeyForm({ projects, role, saving, error, onClose, onSave }: KeyFormProps) {
  const [name, setName] = useState('')
  const [lasts, setLasts] = useState('90')
  const [chosen, setChosen] = useState<readonly string[]>(
    projects?.length === 1 ? [projects[0]?.slug ?? ''] : [],
  )
  const [scopes, setScopes] = useState<readonly Permission[]>([])
  const [missing, setMissing] = useState<{ name?: string; projects?: string; scopes?: string }>({})
  const roles = projects
    ? projects.filter((one) => chosen.includes(one.slug)).map((one) => one.role)
    : role
      ? [role]
      : []
  const submit = () => {
    const found = {
      ...(name.trim() ? {} : { name: 'Give it a name by which you will know it.' }),
      ...(projects && chosen.length === 0 ? { projects: 'Choose at least one project.' } : {}),
      ...(scopes.length === 0 ? { scopes: 'Choose what it may do.' } : {}),
    }
    setMissing(found)
    if (Object.keys(found).length > 0) return
    onSave({
      name: name.trim(),
      scopes: [...scopes],
      projects: [...chosen],
      expires_in_days: LASTS.find((one) => one.value === lasts)?.days ?? null,
    })
  }
  return (
    <DialogForm action="Make key" pending={saving} error={error} onCancel={onClose} onSubmit={submit}>
      <div className="grid items-start gap-3 md:grid-cols-2">
        <Field label="Name" error={missing.name} hint="Such as the machine that will use it.">
          {(wiring) => (
            <Input
              {...wiring}
              maxLength={100}
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Field label="Lasts" hint={lasts === 'never' ? 'Nobody will be reminded of it.' : undefined}>
          {(wiring) => (
            <Select {...wiring} value={lasts} onChange={(event) => setLasts(event.target.value)}>
              {LASTS.map((one) => (
                <option key={one.value} value={one.value}>
                  {one.label}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      {projects ? (
        <Choices
          legend="Projects"
          none="You belong to no project yet, and a key acts in projects."
          error={missing.projects}
          options={projects.map((one) => ({ value: one.slug, label: one.name }))}
          chosen={chosen}
          onChange={setChosen}
        />
      ) : null}
      <ScopeChoices roles={roles} chosen={scopes} error={missing.scopes} onChange={setScopes} />
    </DialogForm>
  )
}

type ScopeChoicesProps = {
  roles: readonly Role[]
  chosen: readonly Permission[]
  error: string | undefined
  onChange: (scopes: readonly Permission[]) => void
}

function ScopeChoices({ roles, chosen, error, onChange }: ScopeChoicesProps) {
  const known = useQuery(scopesQuery)
  if (known.isPending) return <SkeletonRows rows={4} />
  if (!known.data) return <ProblemPanel error={known.error} onRetry={() => void known.refetch()} />
  const can = givable(known.data.items, roles)
  return (
    <fieldset className="grid gap-3">
      <legend className="mb-1 font-medium">What it may do</legend>
      <p className="text-dense text-ink-3">
        {roles.length === 0
          ? 'Choose a project first: a key may be given what you may do there.'
          : 'It never may more than the account it acts for, however that changes.'}
      </p>
      {can.length > 0 ? (
        <div className="flex gap-2">
          <Button size="sm" onClick={() => onChange(can.map((one) => one.scope).filter(reads))}>
            Only to read
          </Button>
          <Button size="sm" disabled={chosen.length === 0} onClick={() => onChange([])}>
            Nothing
          </Button>
        </div>
      ) : null}
      {grouped(can).map(([about, scopes]) => (
        <div key={about} className="grid gap-1">
          {scopes.map((one) => (
            <Choice
              key={one.scope}
              label={one.description}
              note={one.scope}
              checked={chosen.includes(one.scope)}
              onChange={(on) => onChange(toggled(chosen, one.scope, on))}
            />
          ))}
        </div>
      ))}
      {error ? (
        <p role="alert" className="text-dense text-tx-failed">
          {error}
        </p>
      ) : null}
    </fieldset>
  )
}

type ChoicesProps = {
  legend: string
  /** Said where there is nothing to choose from. */
  none: string
  options: ReadonlyArray<{ value: string; label: string }>
  chosen: readonly string[]
  error: string | undefined
  onChange: (chosen: readonly string[]) => void
}

function Choices({ legend, none, options, chosen, error, onChange }: ChoicesProps) {
  return (
    <fieldset className="grid gap-1">
      <legend className="mb-1 font-medium">{legend}</legend>
      {options.length === 0 ? <p className="text-dense text-ink-3">{none}</p> : null}
      {options.map((one) => (
        <Choice
          key={one.value}
          label={one.label}
          note={one.value}
          checked={chosen.includes(one.value)}
          onChange={(on) => onChange(toggled(chosen, one.value, on))}
        />
      ))}
      {error ? (
        <p role="alert" className="text-dense text-tx-failed">
          {error}
        </p>
      ) : null}
    </fieldset>
  )
}

type ChoiceProps = { label: string; note: string; checked: boolean; onChange: (on: boolean) => void }

function Choice({ label, note, checked, onChange }: ChoiceProps) {
  return (
    <label className="flex items-baseline gap-2">
      <input
        type="checkbox"
        className="accent-ink"
        checked={checked}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span className="min-w-0 flex-1">{label}</span>
      <code className="font-mono text-dense text-ink-3">{note}</code>
    </label>
  )
}

const reads = (scope: Permission): boolean => scope.endsWith(':read')

const toggled = <T,>(chosen: readonly T[], one: T, on: boolean): readonly T[] =>
  on ? [...chosen, one] : chosen.filter((other) => other !== one)
