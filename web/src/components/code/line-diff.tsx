import { useMemo } from 'react'
import { cn } from '@/lib/cn'
import { plural } from '@/lib/format'
import { type DiffLine, diffLines, foldDiff } from '@/lib/line-diff'

const SIGN = { same: ' ', added: '+', removed: '−' } satisfies Record<DiffLine['kind'], string>
const WORD = { same: '', added: 'Added: ', removed: 'Removed: ' } satisfies Record<DiffLine['kind'], string>
/** Sign and weight tell the lines apart; colour belongs to states. */
const LOOK = {
  same: 'text-ink-2',
  added: 'bg-raised font-medium text-ink border-l-ink',
  removed: 'text-ink-3 border-l-line-strong',
} satisfies Record<DiffLine['kind'], string>

type LineDiffProps = { label: string; before: string; after: string }

/** What changed from one text to another, with some lines around it. */
export function LineDiff({ label, before, after }: LineDiffProps) {
  const lines = useMemo(() => diffLines(before, after), [before, after])
  const count = (kind: DiffLine['kind']) => lines.filter((line) => line.kind === kind).length
  return (
    <section aria-label={label}>
      <p className="px-4 py-2 text-dense text-ink-2">
        {count('added') + count('removed') === 0
          ? 'The texts are the same.'
          : `${plural(count('added'), 'line')} added, ${plural(count('removed'), 'line')} removed`}
      </p>
      <section tabIndex={0} aria-label={`${label}, lines`} className="overflow-x-auto font-mono text-dense">
        {foldDiff(lines).map((part) =>
          'folded' in part ? (
            <p
              key={`folded ${part.folded} ${part.next}`}
              className="border-y border-line bg-bg px-4 py-0.5 font-sans text-ink-3"
            >
              {plural(part.folded, 'unchanged line')}
            </p>
          ) : (
            part.lines.map((line) => <Line key={`${line.before} ${line.after}`} line={line} />)
          ),
        )}
      </section>
    </section>
  )
}

function Line({ line }: { line: DiffLine }) {
  return (
    <div
      className={cn(
        'grid min-w-max grid-cols-[44px_44px_20px_1fr] border-l-2 border-l-transparent whitespace-pre',
        LOOK[line.kind],
      )}
    >
      <span aria-hidden className="pr-2 text-right text-ink-3">
        {line.before}
      </span>
      <span aria-hidden className="pr-2 text-right text-ink-3">
        {line.after}
      </span>
      <span aria-hidden>{SIGN[line.kind]}</span>
      <span>
        <span className="sr-only">{WORD[line.kind]}</span>
        {line.kind === 'removed' ? <Struck text={line.text} /> : line.text}
      </span>
    </div>
  )
}

/** Struck through from its first word on. */
function Struck({ text }: { text: string }) {
  const words = text.trimStart()
  return (
    <>
      {text.slice(0, text.length - words.length)}
      <span className="line-through">{words}</span>
    </>
  )
}
