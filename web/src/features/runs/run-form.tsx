import { type FormEvent, type ReactNode, useRef, useState } from 'react'
import type { Run, Workflow } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import { ProblemLine } from '@/components/problem-panel'
import { type Draft, draftOf, readDraft } from '@/components/schema-form/draft'
import { inOrderOf, readSchema } from '@/components/schema-form/schema'
import { SchemaFields } from '@/components/schema-form/schema-fields'
import { serverErrors } from '@/components/schema-form/server-errors'
import { Button } from '@/components/ui/button'
import { DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { PermittedButton } from '@/features/access/permitted-button'
import { randomKey } from '@/lib/random-key'
import { useStartRun } from './api'
import { readBudget } from './budget'

type RunFormProps = {
  workflow: Workflow
  /** Stands above the fields: which workflow it is. */
  heading?: ReactNode
  onClose: () => void
  onStarted: (run: Run) => void
}

/** The form that starts a run: fields by the workflow's input schema, and a budget. */
export function RunForm({ workflow, heading, onClose, onStarted }: RunFormProps) {
  const schema = inOrderOf(workflow.latest.source, readSchema(workflow.latest.input_schema))
  const [draft, setDraft] = useState<Draft>(() => draftOf(schema))
  const [budget, setBudget] = useState('')
  const [shownErrors, setShownErrors] = useState<ReadonlyMap<string, string>>(new Map())
  const [sent, setSent] = useState({ body: '', key: '' })
  const form = useRef<HTMLFormElement>(null)
  const start = useStartRun()

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const input = readDraft(schema, draft, false)
    const limit = readBudget(budget)
    const errors = [...input.errors, ...(limit.error ? [{ path: 'budget', message: limit.error }] : [])]
    showErrors(new Map(errors.map((one) => [one.path, one.message])))
    if (errors.length > 0) return
    const { project, name } = workflow
    const run = {
      project,
      workflow: name,
      version: workflow.latest.version,
      input: input.value,
      budget_micros: limit.micros,
    }
    const body = JSON.stringify(run)
    const key = body === sent.body ? sent.key : randomKey()
    setSent({ body, key })
    start.mutate({ run, key }, { onSuccess: onStarted, onError: showServerErrors })
  }
  /** And leads to the first field that needs a change. */
  const showErrors = (errors: ReadonlyMap<string, string>) => {
    setShownErrors(errors)
    requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus())
  }
  const showServerErrors = (error: Error) => {
    if (error instanceof RequestFailed) showErrors(serverErrors(error.errors, schema))
  }
  const change = (next: Draft) => {
    setDraft(next)
    setShownErrors(new Map())
  }
  const placed = start.error instanceof RequestFailed && serverErrors(start.error.errors, schema).size > 0

  return (
    <form ref={form} onSubmit={submit} noValidate className="contents">
      <DialogBody>
        {heading}
        {schema.properties.length === 0 && !schema.open ? (
          <p className="text-ink-2">This workflow takes no input.</p>
        ) : null}
        <SchemaFields schema={schema} draft={draft} errors={shownErrors} onChange={change} />
        <details>
          <summary className="text-ink-2">Options</summary>
          <div className="mt-2">
            <Field
              label="Budget in US dollars"
              hint="The run stops before it would cost more. Empty: what the workflow says."
              error={shownErrors.get('budget')}
            >
              {(wiring) => (
                <Input
                  {...wiring}
                  inputMode="decimal"
                  className="w-32"
                  value={budget}
                  onChange={(event) => setBudget(event.target.value)}
                />
              )}
            </Field>
          </div>
        </details>
        {placed ? null : <ProblemLine error={start.error} />}
      </DialogBody>
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <PermittedButton permission="run:create" type="submit" variant="primary" disabled={start.isPending}>
          {start.isPending ? 'Starting run' : 'Start run'}
        </PermittedButton>
      </DialogActions>
    </form>
  )
}
