import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Step, StepDetail } from '@/api/generated/types.gen'
import { RUN_FACE } from '@/components/faces'
import { Glyph, Status } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { buttonClass } from '@/components/ui/button'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { Part } from './part'
import { skipWords, undoes } from './step-words'

type StepKindProps = {
  step: Step
  detail: StepDetail | undefined
  steps: readonly Step[]
  project: string
  onSelect: (stepId: string) => void
}

/** What is to be said of a step because of its type or its state: a choice, a wait, a sub-workflow, a skip. */
export function StepKind(props: StepKindProps) {
  return (
    <>
      <Undo {...props} />
      <Skipped {...props} />
      <Kept {...props} />
      <Held {...props} />
      <Again {...props} />
      <Choice {...props} />
      <Wait {...props} />
      <Child {...props} />
      <Doubt {...props} />
    </>
  )
}

/** One sentence at the top of the inspector. */
function Note({ children }: { children: ReactNode }) {
  return <p className="border-b border-line bg-bg px-4 py-2 text-ink-2">{children}</p>
}

function StepLink({ name, steps, onSelect }: { name: string } & Pick<StepKindProps, 'steps' | 'onSelect'>) {
  const found = steps.find((one) => one.key === name)
  if (!found) return <b className="font-medium text-ink">{name}</b>
  return (
    <button
      type="button"
      className="font-medium text-ink underline underline-offset-2"
      onClick={() => onSelect(found.id)}
    >
      {name}
    </button>
  )
}

function Undo({ step, steps, onSelect }: StepKindProps) {
  const back = undoes(step)
  if (back === null) return null
  return (
    <Note>
      Takes back what <StepLink name={back} steps={steps} onSelect={onSelect} /> did, because the run did not
      end well.
    </Note>
  )
}

function Skipped({ step, detail }: StepKindProps) {
  if (step.status !== 'skipped' || !detail) return null
  return <Note>Skipped. {skipWords(detail)}</Note>
}

function Kept({ step }: StepKindProps) {
  if (step.copied_from === null) return null
  return <Note>Kept from the run that this one was made from; it was not attempted here.</Note>
}

function Held({ step }: StepKindProps) {
  if (!step.held || step.status !== 'ready') return null
  return <Note>Ready, and held back until the run goes on.</Note>
}

function Again({ step }: StepKindProps) {
  if (step.status !== 'ready' || step.attempt === 0 || step.held) return null
  return (
    <Note>
      Attempt {step.attempt} did not work out. The next one comes <Moment at={step.not_before} />.
    </Note>
  )
}

function Choice({ step, steps, onSelect }: StepKindProps) {
  if (step.type !== 'branch' || step.chosen === null) return null
  const behind = steps.filter((one) => one.parent_id === step.parent_id && one.needs.includes(step.key))
  const chosen = new Set(step.chosen)
  return (
    <Part title="Choice">
      {chosen.size === 0 ? <p className="text-ink-2">No case held, and nothing stands for that.</p> : null}
      <ul className="grid gap-1">
        {[...chosen].map((name) => (
          <li key={name} className="flex items-center gap-2">
            <Glyph tone="succeeded" label="Chosen" />
            <StepLink name={name} steps={steps} onSelect={onSelect} />
          </li>
        ))}
        {behind
          .filter((one) => !chosen.has(one.key) && one.status === 'skipped')
          .map((one) => (
            <li key={one.id} className="flex items-center gap-2 text-ink-2">
              <Glyph tone="skipped" label="Not chosen" />
              <StepLink name={one.key} steps={steps} onSelect={onSelect} />
            </li>
          ))}
      </ul>
    </Part>
  )
}

function Wait({ step, project }: StepKindProps) {
  const { waiting_for: wanted, wake_at: until } = step
  if (step.status === 'waiting' && wanted?.kind === 'budget')
    return <BudgetWait step={step} project={project} />
  if (step.status !== 'waiting' || (wanted?.kind !== 'timer' && wanted?.kind !== 'event')) return null
  return (
    <Part title="Waits">
      {wanted.kind === 'event' ? (
        <p>
          For the event <code className="font-mono text-dense">{String(wanted.event)}</code>
          {until ? (
            <>
              , at the latest until <Moment at={until} exact />
            </>
          ) : null}
          .
        </p>
      ) : (
        <p>Until {until ? <Moment at={until} exact /> : 'its time has come'}. No worker is held meanwhile.</p>
      )}
    </Part>
  )
}

function BudgetWait({ step, project }: Pick<StepKindProps, 'step' | 'project'>) {
  const { waiting_for: wanted, wake_at: until } = step
  const id = wanted?.budget_id
  return (
    <Part title="Waits">
      <p>
        For the budget{' '}
        {typeof id === 'string' ? (
          <Link to={paths.budget(project, id)} className="underline">
            {String(wanted?.name)}
          </Link>
        ) : (
          String(wanted?.name)
        )}
        {until ? (
          <>
            , which resets <Moment at={until} exact />
          </>
        ) : null}
        . The step goes on when its limit is raised. No worker is held meanwhile; the step’s deadline and the
        run’s timeout keep running.
      </p>
    </Part>
  )
}

function Child({ step, project }: StepKindProps) {
  const { child } = step
  if (child === null) return null
  return (
    <Part title="Sub-workflow">
      <div className="flex items-center gap-3">
        <Status face={RUN_FACE[child.status]} />
        <span className="min-w-0 truncate">
          {child.workflow.name} <span className="text-ink-3">v{child.workflow.version}</span>
        </span>
        <Link
          to={paths.run(project, child.run_id)}
          className={buttonClass({ size: 'sm' }, 'ml-auto')}
          aria-label={`Open run ${shortId(child.run_id)}`}
        >
          Open run
        </Link>
      </div>
    </Part>
  )
}

function Doubt({ step, project }: StepKindProps) {
  if (step.status !== 'uncertain') return null
  return (
    <Part title="Did it happen?">
      <p>
        A call of this step was sent, or may have been, and no answer is on record. It is not repeated until a
        person says what became of it.
      </p>
      <Link
        to={`${paths.uncertain(project)}?step=${step.id}`}
        className={buttonClass({ variant: 'spark', size: 'sm' }, 'mt-2')}
      >
        Say what happened
      </Link>
    </Part>
  )
}
