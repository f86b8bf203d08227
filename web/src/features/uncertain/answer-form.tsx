import { type FormEvent, useState } from 'react'
import type { DoubtfulCall, UncertainStep } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Field } from '@/components/ui/field'
import { Textarea } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { cn } from '@/lib/cn'
import { ANSWERS, type Draft, type Mistakes, readAnswer } from './answer'
import { useResolve } from './api'

type AnswerFormProps = { step: UncertainStep; call: DoubtfulCall }

/** What became of a call in doubt, how the person knows, and what each answer would do. */
export function AnswerForm({ step, call }: AnswerFormProps) {
  const [draft, setDraft] = useState<Draft>({ answer: null, evidence: '', output: '', callId: call.id })
  const [mistakes, setMistakes] = useState<Mistakes>({})
  const resolve = useResolve(step)
  const change = (part: Partial<Draft>) => {
    setDraft({ ...draft, ...part })
    setMistakes({})
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const read = readAnswer(draft)
    if ('mistakes' in read) setMistakes(read.mistakes)
    else resolve.mutate(read.body, { onSuccess: () => toast('Answer recorded') })
  }
  return (
    <form onSubmit={submit} noValidate className="grid max-w-3xl gap-4 px-4 py-4">
      <fieldset className="grid gap-2">
        <legend className="mb-1 font-semibold">What became of it?</legend>
        {step.answers.map(({ answer, effect }) => (
          <label
            key={answer}
            className={cn(
              'flex cursor-pointer items-start gap-2.5 rounded-md border border-line px-3 py-2 hover:bg-raised',
              draft.answer === answer && 'border-ink bg-raised',
            )}
          >
            <input
              type="radio"
              name={`answer-${step.id}`}
              className="mt-1"
              checked={draft.answer === answer}
              onChange={() => change({ answer })}
            />
            <span>
              <span className="font-medium">{ANSWERS[answer]}</span>
              <span className="block text-dense text-ink-2">{effect}</span>
            </span>
          </label>
        ))}
        {mistakes.answer ? (
          <p role="alert" className="text-dense text-tx-failed">
            {mistakes.answer}
          </p>
        ) : null}
      </fieldset>
      {draft.answer === 'happened' ? (
        <Field
          label="What it gave back"
          hint="As JSON, as the call would have answered. Empty: nothing."
          error={mistakes.output}
        >
          {(wiring) => (
            <Textarea
              {...wiring}
              rows={3}
              spellCheck={false}
              className="font-mono text-dense"
              value={draft.output}
              onChange={(event) => change({ output: event.target.value })}
            />
          )}
        </Field>
      ) : null}
      <Field
        label="Evidence"
        required
        hint="How you know: a statement, a log line, a phone call. It is kept in the audit trail."
        error={mistakes.evidence}
      >
        {(wiring) => (
          <Textarea
            {...wiring}
            rows={2}
            maxLength={4000}
            value={draft.evidence}
            onChange={(event) => change({ evidence: event.target.value })}
          />
        )}
      </Field>
      <ProblemLine error={resolve.error} />
      <div>
        <PermittedButton permission="run:resolve" type="submit" variant="spark" disabled={resolve.isPending}>
          {resolve.isPending ? 'Recording' : 'Record this answer'}
        </PermittedButton>
      </div>
    </form>
  )
}
