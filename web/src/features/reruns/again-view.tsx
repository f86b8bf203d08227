import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useDeferredValue, useState } from 'react'
import { Link } from 'react-router'
import type { RerunPlan, Run, WorkflowVersion } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import { largeParts } from '@/components/large'
import { ProblemLine, ProblemPanel } from '@/components/problem-panel'
import { type Draft, draftOf, readDraft } from '@/components/schema-form/draft'
import { inOrderOf, readSchema } from '@/components/schema-form/schema'
import { SchemaFields } from '@/components/schema-form/schema-fields'
import { serverErrors } from '@/components/schema-form/server-errors'
import { SkeletonRows } from '@/components/states'
import { Button, buttonClass } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input, Select } from '@/components/ui/input'
import { readBudget } from '@/features/runs/budget'
import { versionQuery } from '@/features/workflows/edit-api'
import { formatMoney, plural } from '@/lib/format'
import { paths } from '@/lib/paths'
import { randomKey } from '@/lib/random-key'
import { type Order, type PlanQuestion, planQuery, useStartAgain } from './api'
import { changedInputs } from './inputs'
import { PlanTable } from './plan-table'
import { Repeats } from './repeats'

/** Asked of nobody. */
const NOTHING: PlanQuestion = { kind: 'rerun', from: null, version: null, keepCalls: true }

const VERB = { retry: 'Retry run', fork: 'Fork run', rerun: 'Run again' } as const

type AgainViewProps = {
  run: Run
  kind: PlanQuestion['kind']
  from: string | null
  /** How many versions the workflow has. */
  latest: number
  onFrom: (step: string) => void
  onStarted: (run: Run) => void
}

/** The plan of a retry, a fork or a re-run, its options, and starting it. Nothing happens before that. */
export function AgainView({ run, kind, from, latest, onFrom, onStarted }: AgainViewProps) {
  const [version, setVersion] = useState(run.workflow.version)
  const [keepCalls, setKeepCalls] = useState(true)
  const question = { kind, from, version: kind === 'retry' ? null : version, keepCalls }
  const incomplete = kind === 'fork' && from === null
  const shown = useQuery(versionQuery(run.workflow.id, kind === 'retry' ? run.workflow.version : version))
  if (shown.isError) return <ProblemPanel error={shown.error} onRetry={() => void shown.refetch()} />
  if (!shown.data) return <SkeletonRows rows={8} />
  return (
    <Form
      key={`${kind} ${shown.data.version}`}
      run={run}
      kind={kind}
      from={from}
      shown={shown.data}
      question={incomplete ? null : question}
      onStarted={onStarted}
    >
      {kind === 'fork' ? (
        <Field label="From step" hint="It and everything behind it runs again.">
          {(wiring) => (
            <Select
              {...wiring}
              className="w-64"
              value={from ?? ''}
              onChange={(event) => onFrom(event.target.value)}
            >
              <option value="" disabled>
                Choose a step
              </option>
              {shown.data.steps.map((step) => (
                <option key={step.id} value={step.id}>
                  {step.id}
                </option>
              ))}
            </Select>
          )}
        </Field>
      ) : null}
      {kind === 'retry' ? (
        <label className="flex items-start gap-2">
          <input
            type="checkbox"
            className="mt-1"
            checked={keepCalls}
            onChange={(event) => setKeepCalls(event.target.checked)}
          />
          <span>
            Use answers on record
            <span className="block text-dense text-ink-3">
              A step that runs again does not pay again for calls that were already answered.
            </span>
          </span>
        </label>
      ) : (
        <Field label="Version">
          {(wiring) => (
            <Select
              {...wiring}
              className="w-64"
              value={version}
              onChange={(event) => setVersion(Number(event.target.value))}
            >
              {Array.from({ length: latest }, (_, place) => latest - place).map((one) => (
                <option key={one} value={one}>
                  {one}
                  {one === run.workflow.version ? ', that of this run' : ''}
                  {one === latest ? ', the latest' : ''}
                </option>
              ))}
            </Select>
          )}
        </Field>
      )}
    </Form>
  )
}

type FormProps = {
  run: Run
  kind: PlanQuestion['kind']
  from: string | null
  shown: WorkflowVersion
  /** What the plan is asked for; null: the step of the fork is not chosen yet. */
  question: PlanQuestion | null
  onStarted: (run: Run) => void
  children: React.ReactNode
}

function Form({ run, kind, from, shown, question, onStarted, children }: FormProps) {
  const schema = inOrderOf(shown.source, readSchema(shown.input_schema))
  const [draft, setDraft] = useState<Draft>(() => draftOf(schema, run.input))
  const [budget, setBudget] = useState('')
  const [agreedTo, setAgreedTo] = useState<string | null>(null)
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map())
  const [key] = useState(randomKey)
  const start = useStartAgain(run.id)

  const tooLarge = kind !== 'retry' && largeParts(run.input).length > 0
  const takesInput = kind !== 'retry' && !tooLarge && (schema.properties.length > 0 || schema.open)
  const read = readDraft(schema, draft, false)
  const changed = takesInput && changedInputs(run.input, read.value).length > 0
  const asked = useDeferredValue(changed && read.errors.length === 0 ? JSON.stringify(read.value) : null)
  const known = useQuery({ ...planQuery(run.id, question ?? NOTHING, asked), enabled: question !== null })
  const plan = question ? known.data : undefined
  const problem = question ? known.error : null
  const toAgree = (plan?.totals.repeats ?? 0) > 0
  // Who agreed to some repeats has not agreed to others.
  const repeated = JSON.stringify([plan?.totals.repeats, plan?.effects.map((one) => one.call_id)])
  const agreed = agreedTo === repeated

  const submit = (event: FormEvent) => {
    event.preventDefault()
    const limit = readBudget(budget)
    const wrong = takesInput ? read.errors : []
    const all = [...wrong, ...(limit.error ? [{ path: 'budget', message: limit.error }] : [])]
    setErrors(new Map(all.map((one) => [one.path, one.message])))
    if (all.length > 0) return
    const again = {
      budget_micros: limit.micros,
      version: shown.version,
      repeat_doubtful: agreed,
      ...(changed ? { input: read.value as never } : {}),
    }
    const order: Order =
      kind === 'retry'
        ? {
            kind,
            body: {
              keep_calls: question?.keepCalls ?? true,
              repeat_doubtful: agreed,
              budget_micros: limit.micros,
            },
          }
        : kind === 'fork'
          ? { kind, body: { ...again, from: from ?? '' } }
          : { kind, body: again }
    // Another order is another request: the key of the page is made its own by what is ordered.
    start.mutate(
      { order, key: `${key}-${hash(JSON.stringify(order))}` },
      {
        onSuccess: onStarted,
        onError: (error) =>
          setErrors(error instanceof RequestFailed ? serverErrors(error.errors, schema) : new Map()),
      },
    )
  }

  return (
    <form onSubmit={submit} noValidate className="flex min-h-0 flex-1 max-md:flex-col">
      <div className="flex w-[340px] shrink-0 flex-col border-r border-line bg-surface max-md:w-full">
        <div className="grid min-h-0 flex-1 content-start gap-4 overflow-y-auto px-4 py-4">
          {children}
          {tooLarge ? (
            <p className="text-ink-2">
              The input is too large to be changed here. The new run gets that of this run.
            </p>
          ) : null}
          {takesInput ? (
            <section aria-label="Input" className="grid gap-4">
              <h2 className="text-dense font-medium text-ink-2">Input</h2>
              <SchemaFields
                schema={schema}
                draft={draft}
                errors={errors}
                onChange={(next) => {
                  setDraft(next)
                  setErrors(new Map())
                }}
              />
            </section>
          ) : null}
          <Field
            label="Budget in US dollars"
            hint={`Empty: ${run.budget ? `${formatMoney(run.budget.limit_micros)}, as before` : 'as before'}.`}
            error={errors.get('budget')}
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
        <div className="grid gap-2 border-t border-line px-4 py-3">
          {errors.size > 0 ? null : <ProblemLine error={start.error} />}
          <div className="flex gap-2">
            <Button
              type="submit"
              variant="primary"
              disabled={start.isPending || !plan || known.isPlaceholderData || (toAgree && !agreed)}
            >
              {start.isPending ? 'Starting' : VERB[kind]}
            </Button>
            <Link to={paths.run(run.project, run.id)} className={buttonClass({ variant: 'ghost' })}>
              Back to the run
            </Link>
          </div>
          {toAgree && !agreed ? (
            <p className="text-dense text-ink-3">First agree to what happens again.</p>
          ) : null}
        </div>
      </div>
      <div className="min-w-0 flex-1 overflow-y-auto">
        {problem ? <ProblemPanel error={problem} /> : null}
        {plan ? (
          <>
            <Totals plan={plan} />
            <Repeats
              effects={plan.effects}
              total={plan.totals.repeats}
              agreed={agreed}
              onAgree={(yes) => setAgreedTo(yes ? repeated : null)}
            />
            <PlanTable steps={plan.steps} />
            {plan.gone.length > 0 ? (
              <p className="px-4 py-2 text-ink-2">
                Not in version {plan.version} any more: {plan.gone.join(', ')}
              </p>
            ) : null}
          </>
        ) : problem ? null : kind === 'fork' && from === null ? (
          <p className="px-4 py-8 text-ink-2 md:pl-16">
            Choose the step from which the new run does everything again. What stands before it is kept.
          </p>
        ) : (
          <SkeletonRows rows={8} />
        )}
      </div>
    </form>
  )
}

/** What the new run comes to, in numbers, and the labels that its input carries. */
export function Totals({ plan }: { plan: RerunPlan }) {
  const { totals } = plan
  return (
    <dl aria-label="Sums" className="flex flex-wrap gap-x-10 gap-y-2 border-b border-line px-4 py-3">
      <Total name="Run again" value={plural(totals.again_steps, 'step')}>
        {totals.again_steps === 0
          ? 'nothing is done'
          : `cost ${formatMoney(totals.again_cost_micros)} last time`}
      </Total>
      <Total name="Kept" value={plural(totals.kept_steps, 'step')}>
        {totals.kept_cost_micros > 0
          ? `${formatMoney(totals.kept_cost_micros)} not spent again`
          : 'with their results'}
      </Total>
      {totals.kept_calls > 0 ? (
        <Total name="Answered from the record" value={plural(totals.kept_calls, 'call')}>
          not sent again
        </Total>
      ) : null}
      <Total name="Repeats outside" value={totals.repeats > 0 ? plural(totals.repeats, 'effect') : 'Nothing'}>
        {totals.repeats > 0 ? 'see below' : 'no side effect happens twice'}
      </Total>
      {plan.labels.length > 0 ? (
        <Total name="The input is labelled" value={plan.labels.join(', ')}>
          as that of this run is
        </Total>
      ) : null}
    </dl>
  )
}

function Total({ name, value, children }: { name: string; value: string; children: React.ReactNode }) {
  return (
    <div>
      <dt className="text-dense text-ink-3">{name}</dt>
      <dd>
        <span className="block text-section font-semibold">{value}</span>
        <span className="text-dense text-ink-2">{children}</span>
      </dd>
    </div>
  )
}

/** A short name of a text; two orders of one page are told apart by it. */
function hash(text: string): string {
  let value = 0
  for (const letter of text) value = (Math.imul(value, 31) + (letter.codePointAt(0) ?? 0)) | 0
  return (value >>> 0).toString(36)
}
