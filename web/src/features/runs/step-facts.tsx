import type { Step } from '@/api/generated/types.gen'
import { Duration, Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { Fact } from './part'
import { isPause, needWords } from './step-words'
import { queuedFrom } from './timeline-layout'

/** The plain facts of a step: what it is, how long it took, how often it was tried. */
export function StepFacts({ step, attempts }: { step: Step; attempts: number | null }) {
  const { started_at: started, finished_at: finished } = step
  const verb = isPause(step) ? ['Waited for', 'Waiting for'] : ['Ran for', 'Running for']
  return (
    <dl className="grid grid-cols-[104px_1fr] gap-x-3 gap-y-1.5 border-b border-line px-4 py-3">
      <Fact name="Type">
        {step.type} {step.name ? <code className="font-mono text-dense">{step.name}</code> : null}
      </Fact>
      <Fact name="Needs">{needWords(step)}</Fact>
      {queuedFrom(step) !== null ? (
        <Fact name="Queued for">
          <Duration from={step.ready_at} to={started ?? finished} />
        </Fact>
      ) : null}
      {started ? (
        <Fact name={(finished ? verb[0] : verb[1]) ?? ''}>
          <Duration from={started} to={finished} />
        </Fact>
      ) : null}
      {started ? (
        <Fact name="Started">
          <Moment at={started} />
        </Fact>
      ) : null}
      {finished === null && step.fails_at ? (
        <Fact name="Deadline">
          <Moment at={step.fails_at} />
        </Fact>
      ) : null}
      <Fact name="Attempt">
        {step.attempt}
        {attempts !== null && attempts > step.attempt ? ` of ${attempts}` : ''}
      </Fact>
      {step.failures > 0 ? <Fact name="Failures">{step.failures}</Fact> : null}
      {step.crashes > 0 ? <Fact name="Workers lost">{step.crashes}</Fact> : null}
      <Fact name="Cost">
        <Money micros={step.cost_micros} />
      </Fact>
    </dl>
  )
}
