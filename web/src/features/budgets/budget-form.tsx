import { useQuery } from '@tanstack/react-query'
import { Plus, X } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import type { BudgetTerms } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input, Select } from '@/components/ui/input'
import { agentsQuery } from '@/features/agents/api'
import { workflowsQuery } from '@/features/workflows/api'
import { type Draft, readTerms } from './draft'
import { ACTIONS, PERIODS, SCOPES } from './words'

type BudgetFormProps = {
  project: string
  initial: Draft
  /** Whom it is for and for how long never change. */
  fixed: boolean
  /** Whether it may be for the whole installation. */
  admin: boolean
  saving: boolean
  error: Error | null
  onClose: () => void
  onSave: (draft: Draft, terms: BudgetTerms) => void
}

const CHOICES = ['project', 'workflow', 'agent', 'user', 'api_key', 'run'] as const
const ACTION_CHOICES = ['notify', 'require_approval', 'pause', 'deny'] as const

/** The form of a budget: for whom, for how long, how much, and what happens on the way. */
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
          label="Runs that are expected not to fit"
          hint="By what the last runs of the workflow version cost; at least five have to be known."
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
  const workflows = useQuery({ ...workflowsQuery(project), enabled: draft.scope === 'workflow' })
  const agents = useQuery({ ...agentsQuery(project), enabled: draft.scope === 'agent' })
  const named =
    draft.scope === 'workflow' ? workflows.data?.items : draft.scope === 'agent' ? agents.data?.items : []
  return (
    <div className="grid grid-cols-2 items-start gap-3">
      <Field label="For">
        {(wiring) => (
          <Select
            {...wiring}
            value={draft.scope}
            onChange={(event) => onChange({ scope: event.target.value as Draft['scope'], target: '' })}
          >
            {CHOICES.map((one) => (
              <option key={one} value={one}>
                {SCOPES[one]}
              </option>
            ))}
            {admin ? <option value="installation">{SCOPES.installation}</option> : null}
          </Select>
        )}
      </Field>
      {draft.scope === 'workflow' || draft.scope === 'agent' ? (
        <Field label="Which">
          {(wiring) => (
            <Select
              {...wiring}
              value={draft.target}
              onChange={(event) => onChange({ target: event.target.value })}
            >
              <option value="">Each by itself</option>
              {named?.map((one) => (
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
      <Field label="Time zone" hint="Empty: that of the project.">
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
              placeholder="Any"
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
      <legend className="mb-1 font-medium">On the way to a limit</legend>
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
          A percentage lies between 1 and 1000.
        </p>
      ) : null}
      <div className="flex items-center justify-between gap-4">
        <p className="text-dense text-ink-3">Without one at 100 % nothing goes beyond the limit.</p>
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
