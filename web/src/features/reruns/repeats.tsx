import type { RepeatedEffect } from '@/api/generated/types.gen'
import { CALL_FACE } from '@/components/faces'
import { Glyph } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { plural } from '@/lib/format'

type RepeatsProps = {
  effects: readonly RepeatedEffect[]
  total: number
  agreed: boolean
  onAgree: (agreed: boolean) => void
}

/** What has happened outside and would happen once more: to be agreed to before the run can be started. */
export function Repeats({ effects, total, agreed, onAgree }: RepeatsProps) {
  if (total === 0) return null
  return (
    <section
      aria-label="Side effects that repeat"
      className="border-b border-line border-l-[3px] border-l-st-waiting bg-bg px-4 py-3"
    >
      <h2 className="flex items-center gap-1.5 font-semibold text-tx-waiting">
        <Glyph tone="waiting" />
        {plural(total, 'side effect')} would happen again
      </h2>
      <ul className="mt-1.5 grid gap-1">
        {effects.map((effect) => (
          <li key={effect.call_id} className="flex flex-wrap items-baseline gap-x-2">
            <span className="font-medium">{effect.key}</span>
            <code className="font-mono text-dense">{effect.name}</code>
            <code className="max-w-[52ch] truncate font-mono text-dense text-ink-2" title={effect.arguments}>
              {effect.arguments}
            </code>
            <span className="text-dense text-ink-3">
              {effect.status === 'failed' ? 'Given up, nobody knows' : CALL_FACE[effect.status].label}
              {effect.at ? (
                <>
                  , <Moment at={effect.at} />
                </>
              ) : null}
            </span>
          </li>
        ))}
      </ul>
      {total > effects.length ? (
        <p className="mt-1 text-dense text-ink-3">and {plural(total - effects.length, 'other')}</p>
      ) : null}
      <label className="mt-2 flex items-center gap-2">
        <input type="checkbox" checked={agreed} onChange={(event) => onAgree(event.target.checked)} />
        {total === 1 ? 'It may' : 'They may'} happen again
      </label>
    </section>
  )
}
