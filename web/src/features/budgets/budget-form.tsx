import { Plus, X } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import type { BudgetTerms } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input, Select } from '@/components/ui/input'
import { type Draft, readTerms } from './draft'
import { useTargets } from './targets'
import { ACTIONS, EACH, PERIODS, SCOPES } from './words'

type BudgetFormProps = {
  project: string
  initial: Draft
  /** Whom it is for and its period never change. */
  fixed: boolean
  /** Whether it may be of the whole installation. */
  admin: boolean
  saving: boolean
  error: Error | null
  onClose: () => void
  onSave: (draft: Draft, terms: BudgetTerms) => void
}

const OF_PROJECT = ['project', 'workflow', 'agent', 'user', 'api_key', 'run'] as const
const OF_INSTALLATION = ['installation', 'project', 'user', 'api_key', 'run'] as const
const ACTION_CHOICES = ['notify', 'require_approval', 'pause', 'deny'] as const

/** The form of a budget: for whom, for how long, how much, and what happens at its thresholds. */
export function BudgetForm({
  project,
  initial,
  fixed,
  admin,
  saving,
  error,
  onClose,
  onSave,
}: BudgetFormProps) {
  const [draft, setDraft] = useState(initial)
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map())
  const change = (part: Partial<Draft>) => {
    setDraft({ ...draft, ...part })
    setErrors(new Map())
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const read = readTerms(draft)
    setErrors(read.errors)
    if (read.errors.size === 0) onSave(draft, read.terms)
  }
  return (
    <form onSubmit={submit} noValidate className="contents">
      <DialogBody>
        <Field label="Name" error={errors.get('name')}>
          {(wiring) => (
            <Input
              {...wiring}
              maxLength={100}
              value={draft.name}
              onChange={(event) => change({ name: event.target.value })}
            />
          )}
        </Field>
        {fixed ? null : <ForWhom project={project} draft={draft} admin={admin} onChange={change} />}
        <Limits draft={draft} errors={errors} onChange={change} />
        <Thresholds draft={draft} errors={errors} onChange={change} />
        <Field
          label="Runs that are not expected to fit"
          hint="Judged by what recent runs of the workflow version cost; it takes at least five."
        >
          {(wiring) => (
            <div className="flex gap-2">
              <Select
                {...wiring}
                value={draft.admission}
                onChange={(event) => change({ admission: event.target.value as Draft['admission'] })}
              >
                <option value="">Start anyway</option>
                <option value="ask">Ask people before they begin</option>
                <option value="refuse">Refuse them</option>
              </Select>
              <Select
                aria-label="By which cost"
                className="w-48"
                disabled={draft.admission === ''}
                value={draft.admissionBy}
                onChange={(event) => change({ admissionBy: event.target.value as Draft['admissionBy'] })}
              >
                <option value="p95">95th percentile</option>
                <option value="median">Median</option>
              </Select>
            </div>
          )}
        </Field>
        <ProblemLine error={error} />
      </DialogBody>
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" variant="primary" disabled={saving}>
          {fixed ? 'Save budget' : 'Define budget'}
        </Button>
      </DialogActions>
    </form>
  )
}

type PartProps = { draft: Draft; onChange: (part: Partial<Draft>) => void }

function ForWhom({ project, draft, admin, onChange }: PartProps & { project: string; admin: boolean }) {
  const { scope, installation } = draft
  const targets = useTargets(project, scope, installation)
  return (
    <div className="grid grid-cols-2 items-start gap-3">
      {admin ? (
        <div className="col-span-2">
          <Field label="Applies to">
            {(wiring) => (
              <Select
                {...wiring}
                value={installation ? 'installation' : 'project'}
                onChange={(event) => {
                  const chosen = event.target.value as 'installation' | 'project'
                  onChange({ installation: chosen === 'installation', scope: chosen, target: '' })
                }}
              >
                <option value="project">This project</option>
                <option value="installation">The whole installation</option>
              </Select>
            )}
          </Field>
        </div>
      ) : null}
      <Field label="For">
        {(wiring) => (
          <Select
            {...wiring}
            value={scope}
            onChange={(event) => onChange({ scope: event.target.value as Draft['scope'], target: '' })}
          >
            {(installation ? OF_INSTALLATION : OF_PROJECT).map((one) => (
              <option key={one} value={one}>
                {installation && one === 'project' ? 'Projects' : SCOPES[one]}
              </option>
            ))}
          </Select>
        )}
      </Field>
      {targets ? (
        <Field label="Which">
          {(wiring) => (
            <Select
              {...wiring}
              value={draft.target}
              onChange={(event) => onChange({ target: event.target.value })}
            >
              <option value="">{EACH[scope]}</option>
              {targets.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.name}
                </option>
              ))}
            </Select>
          )}
        </Field>
      ) : (
        <div />
      )}
      <Field label="Period">
        {(wiring) => (
          <Select
            {...wiring}
            value={draft.period}
            onChange={(event) => onChange({ period: event.target.value as Draft['period'] })}
          >
            {Object.entries(PERIODS).map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label="Time zone" hint={installation ? 'Empty: UTC.' : 'Empty: that of the project.'}>
        {(wiring) => (
          <Input
            {...wiring}
            placeholder="Europe/Berlin"
            value={draft.timeZone}
            onChange={(event) => onChange({ timeZone: event.target.value })}
          />
        )}
      </Field>
    </div>
  )
}

const LIMITS = [
  ['money', 'Money, in US dollars', 'decimal'],
  ['tokens', 'Tokens', 'numeric'],
  ['calls', 'Calls', 'numeric'],
  ['runs', 'Runs', 'numeric'],
] as const

function Limits({ draft, errors, onChange }: PartProps & { errors: ReadonlyMap<string, string> }) {
  return (
    <fieldset className="grid grid-cols-2 items-start gap-3">
      <legend className="mb-1 font-medium">Limits</legend>
      {LIMITS.map(([kind, label, mode]) => (
        <Field key={kind} label={label} error={errors.get(kind)}>
          {(wiring) => (
            <Input
              {...wiring}
              inputMode={mode}
              placeholder="No limit"
              value={draft.limits[kind]}
              onChange={(event) => onChange({ limits: { ...draft.limits, [kind]: event.target.value } })}
            />
          )}
        </Field>
      ))}
    </fieldset>
  )
}

function Thresholds({ draft, errors, onChange }: PartProps & { errors: ReadonlyMap<string, string> }) {
  const { thresholds } = draft
  const put = (place: number, part: Partial<Draft['thresholds'][number]>) =>
    onChange({ thresholds: thresholds.map((one, other) => (other === place ? { ...one, ...part } : one)) })
  return (
    <fieldset className="grid gap-2">
      <legend className="mb-1 font-medium">Thresholds</legend>
      {thresholds.map((one, place) => (
        <div key={place} className="flex items-center gap-2">
          <Input
            aria-label={`Threshold ${place + 1} in percent`}
            aria-invalid={errors.has(`threshold.${place}`) || undefined}
            inputMode="numeric"
            className="w-20"
            value={one.percent}
            onChange={(event) => put(place, { percent: event.target.value })}
          />
          %
          <Select
            aria-label={`Action at threshold ${place + 1}`}
            className="w-44"
            value={one.action}
            onChange={(event) =>
              put(place, { action: event.target.value as (typeof ACTION_CHOICES)[number] })
            }
          >
            {ACTION_CHOICES.map((action) => (
              <option key={action} value={action}>
                {ACTIONS[action]}
              </option>
            ))}
          </Select>
          <Button
            variant="ghost"
            size="icon"
            aria-label={`Remove threshold ${place + 1}`}
            onClick={() => onChange({ thresholds: thresholds.filter((_, other) => other !== place) })}
          >
            <X aria-hidden />
          </Button>
        </div>
      ))}
      {[...errors].some(([field]) => field.startsWith('threshold')) ? (
        <p role="alert" className="text-dense text-tx-failed">
          A percentage must be between 1 and 1000.
        </p>
      ) : null}
      <div className="flex items-center justify-between gap-4">
        <p className="text-dense text-ink-3">
          Unless a threshold at 100 % or above asks, waits or denies, calls beyond 100 % are denied.
        </p>
        <Button
          size="sm"
          onClick={() => onChange({ thresholds: [...thresholds, { percent: '100', action: 'deny' }] })}
        >
          <Plus aria-hidden />
          Add threshold
        </Button>
      </div>
    </fieldset>
  )
}
