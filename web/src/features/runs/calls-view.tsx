import type { Call } from '@/api/generated/types.gen'
import { CALL_FACE } from '@/components/faces'
import { Glyph } from '@/components/glyph'
import { Money } from '@/components/money'
import { Empty } from '@/components/states'
import { elapsedMs, formatDuration, plural } from '@/lib/format'
import { decisionWords, tokensOf } from './call-words'
import { MOST_CALLS } from './calls-api'

type CallsViewProps = {
  calls: readonly Call[]
  selectedId: string | null
  onSelect: (call: Call) => void
}

const CELL = 'h-8 px-2 first:pl-4 last:pr-4 truncate'

/** Every call of a run that left the process or wanted to, with its decision and its cost. */
export function CallsView({ calls, selectedId, onSelect }: CallsViewProps) {
  if (calls.length === 0) {
    return <Empty title="No calls">No step of this run has called a model or a tool yet.</Empty>
  }
  return (
    <div className="min-w-0 flex-1 overflow-auto">
      {calls.length >= MOST_CALLS ? (
        <p className="border-b border-line bg-raised px-4 py-1 text-dense">
          Showing the first {plural(calls.length, 'call')}.
        </p>
      ) : null}
      <table aria-label="Calls" className="w-full border-collapse text-left">
        <thead>
          <tr className="border-b border-line text-dense text-ink-3">
            {['Call', 'Step', 'Decision', 'Tokens', 'Took', 'Cost'].map((header, index) => (
              <th
                key={header}
                scope="col"
                className={`h-7 px-2 font-normal first:pl-4 last:pr-4 ${index > 2 ? 'text-right' : ''}`}
              >
                {header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {calls.map((call) => (
            <CallRow
              key={call.id}
              call={call}
              selected={call.id === selectedId}
              onSelect={() => onSelect(call)}
            />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function CallRow({ call, selected, onSelect }: { call: Call; selected: boolean; onSelect: () => void }) {
  const face = CALL_FACE[call.status]
  const tokens = tokensOf(call)
  const took = call.prepared_at && call.finished_at ? elapsedMs(call.prepared_at, call.finished_at, 0) : null
  return (
    <tr
      aria-selected={selected}
      className="relative border-b border-line hover:bg-raised aria-selected:bg-raised aria-selected:shadow-[inset_3px_0_0_var(--ink)]"
    >
      <td className={CELL}>
        <button
          type="button"
          onClick={onSelect}
          aria-label={`${call.kind} ${call.name}, ${face.label}`}
          className="flex items-center gap-2 font-medium after:absolute after:inset-0"
        >
          <Glyph tone={face.tone} label={face.label} />
          {call.name}
          <span className="font-mono text-meta font-normal text-ink-3">{call.kind}</span>
        </button>
      </td>
      <td className={CELL}>
        {call.step_key} <span className="text-ink-3">{call.seq}</span>
      </td>
      <td className={CELL}>{decisionWords(call.decision)}</td>
      <td className={`${CELL} text-right tabular-nums`}>
        {tokens ? `${tokens.input} + ${tokens.output}` : ''}
      </td>
      <td className={`${CELL} text-right tabular-nums`}>{took === null ? '' : formatDuration(took)}</td>
      <td className={`${CELL} text-right`}>
        <Money micros={call.cost_micros} />
      </td>
    </tr>
  )
}
