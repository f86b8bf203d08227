import { useInfiniteQuery } from '@tanstack/react-query'
import { X } from 'lucide-react'
import { useState } from 'react'
import type { RecordedDecision, Subject } from '@/api/generated/types.gen'
import { Glyph, Status } from '@/components/glyph'
import { FilterBar, ListBeside } from '@/components/inspector'
import { Moment } from '@/components/moment'
import { Paged } from '@/components/paged'
import { Empty } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Input, Select } from '@/components/ui/input'
import { cn } from '@/lib/cn'
import { useAddress } from '@/lib/use-address'
import { DecisionDetail } from './decision-detail'
import { type DecisionFilters, type DecisionScope, decisionsQuery } from './decisions-api'
import { decidedBy, OUTCOME_FACE, OUTCOMES, SUBJECTS, WOULD_HAVE } from './words'

const NONE: DecisionFilters = { outcome: [], subject: null, name: '', rule: '', monitored: false }

type DecisionsViewProps = {
  scope: DecisionScope
  /** How often to ask again; false: never. */
  poll?: number | false
  /** What to say where there is none. */
  nothing: string
}

/** What was decided, the newest first, with the facts of the chosen one beside it. The choice is in the address. */
export function DecisionsView({ scope, poll = false, nothing }: DecisionsViewProps) {
  const [search, put] = useAddress()
  const [filters, setFilters] = useState(NONE)
  const found = useInfiniteQuery({ ...decisionsQuery(scope, filters), refetchInterval: poll })
  const chosen = search.get('decision')
  const choose = (id: string) => put({ decision: id })
  return (
    <ListBeside
      bar={<Toolbar filters={filters} onChange={setFilters} />}
      inspector={
        chosen ? <DecisionDetail key={chosen} id={chosen} scope={scope} onClose={() => choose('')} /> : null
      }
    >
      <Paged
        found={found}
        skeleton={10}
        empty={
          <Empty title="No decisions">{filters === NONE ? nothing : 'No decision fits these filters.'}</Empty>
        }
      >
        {(rows) => <Table rows={rows} chosen={chosen} onChoose={choose} />}
      </Paged>
    </ListBeside>
  )
}

type ToolbarProps = { filters: DecisionFilters; onChange: (filters: DecisionFilters) => void }

function Toolbar({ filters, onChange }: ToolbarProps) {
  const set = (changed: Partial<DecisionFilters>) => onChange({ ...filters, ...changed })
  return (
    <FilterBar label="Filter decisions">
      <div role="group" aria-label="Outcome" className="flex gap-1">
        {OUTCOMES.map((one) => {
          const on = filters.outcome.includes(one)
          return (
            <Button
              key={one}
              variant="ghost"
              size="sm"
              aria-pressed={on}
              className={cn(on && 'border-ink bg-raised text-ink')}
              onClick={() =>
                set({
                  outcome: on ? filters.outcome.filter((other) => other !== one) : [...filters.outcome, one],
                })
              }
            >
              <Glyph tone={OUTCOME_FACE[one].tone} />
              {OUTCOME_FACE[one].label}
            </Button>
          )
        })}
        <Button
          variant="ghost"
          size="sm"
          aria-pressed={filters.monitored}
          className={cn(filters.monitored && 'border-ink bg-raised text-ink')}
          onClick={() => set({ monitored: !filters.monitored })}
        >
          Monitored
        </Button>
      </div>
      <Select
        aria-label="Subject"
        className="w-32 text-body"
        value={filters.subject ?? ''}
        onChange={(event) => set({ subject: (event.target.value || null) as Subject | null })}
      >
        <option value="">All subjects</option>
        {SUBJECTS.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </Select>
      <Input
        type="search"
        aria-label="Tool or model"
        placeholder="Tool or model"
        maxLength={200}
        className="w-32 text-body"
        value={filters.name}
        onChange={(event) => set({ name: event.target.value })}
      />
      <Input
        type="search"
        aria-label="Rule"
        placeholder="Rule"
        maxLength={100}
        className="w-32 text-body"
        value={filters.rule}
        onChange={(event) => set({ rule: event.target.value })}
      />
      {filters === NONE ? null : (
        <Button variant="ghost" size="sm" onClick={() => onChange(NONE)}>
          <X aria-hidden />
          Clear filters
        </Button>
      )}
    </FilterBar>
  )
}

const CELL = 'h-8 px-2 first:pl-4 last:pr-4 truncate'

type TableProps = {
  rows: readonly RecordedDecision[]
  chosen: string | null
  onChoose: (id: string) => void
}

function Table({ rows, chosen, onChoose }: TableProps) {
  return (
    <table aria-label="Decisions" className="w-full border-collapse text-left">
      <thead>
        <tr className="border-b border-line text-dense text-ink-3">
          {['Decision', 'What', 'Step', 'Decided by', 'When', 'Took'].map((header) => (
            <th
              key={header}
              scope="col"
              className={cn('h-7 px-2 font-normal first:pl-4 last:pr-4', header === 'Took' && 'text-right')}
            >
              {header}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <Row key={row.id} row={row} selected={row.id === chosen} onChoose={() => onChoose(row.id)} />
        ))}
      </tbody>
    </table>
  )
}

function Row({
  row,
  selected,
  onChoose,
}: {
  row: RecordedDecision
  selected: boolean
  onChoose: () => void
}) {
  const face = OUTCOME_FACE[row.outcome]
  return (
    <tr
      aria-selected={selected}
      className="relative border-b border-line hover:bg-raised aria-selected:bg-raised aria-selected:shadow-[inset_3px_0_0_var(--ink)]"
    >
      <td className={CELL}>
        <button
          type="button"
          aria-label={`${face.label}, ${row.name ?? row.subject}`}
          onClick={onChoose}
          className="after:absolute after:inset-0"
        >
          <Status face={face} />
        </button>
      </td>
      <td className={CELL}>
        <span className="font-medium">{row.name ?? ''}</span>{' '}
        <span className="font-mono text-meta text-ink-3">{row.subject}</span>
      </td>
      <td className={CELL}>{row.step_key}</td>
      <td className={CELL}>
        {decidedBy(row)}
        {row.monitored.length > 0 ? (
          <span className="text-ink-3">
            ; monitored: {row.monitored.map((one) => `${one.rule} ${WOULD_HAVE[one.effect]}`).join(', ')}
          </span>
        ) : null}
      </td>
      <td className={CELL}>
        <Moment at={row.at} />
      </td>
      <td className={`${CELL} text-right text-ink-3 tabular-nums`}>
        {row.duration_us === null ? '' : `${row.duration_us.toLocaleString('en-US')} µs`}
      </td>
    </tr>
  )
}
