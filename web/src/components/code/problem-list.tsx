import type { ProblemError } from '@/api/generated/types.gen'
import { Glyph } from '@/components/glyph'
import { plural } from '@/lib/format'

/** `on-save`: nobody looks at it before it is saved. `unchecked`: the server could not be asked. */
export type Checking = 'checking' | 'checked' | 'unchecked' | 'on-save'

const WAITING = {
  checking: 'Checking',
  unchecked: 'Not checked: the server does not answer',
  'on-save': 'Checked when it is saved',
} satisfies Record<Exclude<Checking, 'checked'>, string>

type ProblemListProps = {
  problems: readonly ProblemError[]
  /** Whether the list belongs to the text as it stands. */
  state: Checking
  onGoTo: (problem: ProblemError) => void
}

const place = ({ line, column, path }: ProblemError): string => (line ? `${line}:${column ?? 1}` : path)

/** Everything that is wrong with a definition. Each entry leads to its place in the text. */
export function ProblemList({ problems, state, onGoTo }: ProblemListProps) {
  return (
    <section
      aria-label="Problems"
      className="flex max-h-[34%] shrink-0 flex-col border-t border-line bg-surface"
    >
      <h2 className="flex h-8 shrink-0 items-center gap-2 px-4 text-dense font-medium" aria-live="polite">
        <Summary count={problems.length} state={state} />
      </h2>
      {problems.length === 0 ? null : (
        <ul className="overflow-y-auto border-t border-line">
          {problems.map((problem) => (
            <li key={`${place(problem)} ${problem.path} ${problem.message}`}>
              <button
                type="button"
                onClick={() => onGoTo(problem)}
                className="grid w-full grid-cols-[72px_minmax(0,1fr)] gap-3 px-4 py-1 text-left hover:bg-raised focus-visible:outline-offset-[-2px]"
              >
                <span className="truncate font-mono text-dense text-ink-3">{place(problem)}</span>
                <span>
                  {problem.message}
                  {problem.hint ? <span className="text-ink-2">, {problem.hint}</span> : null}
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function Summary({ count, state }: { count: number; state: Checking }) {
  if (count > 0) {
    return (
      <>
        <Glyph tone="failed" />
        {plural(count, 'problem')}
      </>
    )
  }
  if (state !== 'checked') return <span className="text-ink-3">{WAITING[state]}</span>
  return (
    <>
      <Glyph tone="succeeded" />
      No problems
    </>
  )
}
