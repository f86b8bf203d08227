import { useInfiniteQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import type { RecordedDecision } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Status } from '@/components/glyph'
import { ListBeside } from '@/components/inspector'
import { Moment } from '@/components/moment'
import { Paged } from '@/components/paged'
import { Empty } from '@/components/states'
import { Button } from '@/components/ui/button'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { sinceOf } from '@/lib/span'
import { useAddress } from '@/lib/use-address'
import { DecisionDetail } from './decision-detail'
import { isFiltered, NO_FILTERS, noRun, readFilters, timeOf } from './decision-filters'
import { type DecisionScope, decisionsQuery } from './decisions-api'
import { DecisionsToolbar } from './decisions-toolbar'
import { decidedBy, OUTCOME_FACE, WOULD_HAVE } from './words'

type DecisionsViewProps = {
  scope: DecisionScope
  /** How often to ask again; false: never. */
  poll?: number | false
  /** What to say where there is none. */
  nothing: string
  /** Where a row leads: its facts are shown beside the list, or it has a page of its own. */
  opens: 'beside' | 'page'
}

/** What was decided, the newest first. The filters are in the address, and so is what is chosen. */
export function DecisionsView({ scope, poll = false, nothing, opens }: DecisionsViewProps) {
  const [search, put] = useAddress()
  const chosen = opens === 'beside' ? search.get('decision') : null
  const time = timeOf(search)
  const began = useMemo(() => sinceOf(time, Date.now()), [time])
  const filters = readFilters(search, began)
  const impossible = noRun(filters, scope)
  const found = useInfiniteQuery({
    ...decisionsQuery(scope, filters),
    refetchInterval: poll,
    enabled: !impossible,
  })
  const filtered = isFiltered(search, scope)
  const beside = (id: string) => {
    const to = new URLSearchParams(search)
    to.set('decision', id)
    return `?${to}`
  }
  const empty = (
    <Empty
      title={filtered ? 'No such decisions' : 'No decisions'}
      action={filtered ? <Button onClick={() => put(NO_FILTERS)}>Clear filters</Button> : null}
    >
      {impossible
        ? `“${filters.run}” is not the id of a run: give the whole of it, as it stands in the address of the run.`
        : filtered
          ? 'No decision fits these filters.'
          : nothing}
    </Empty>
  )
  return (
    <ListBeside
      bar={<DecisionsToolbar scope={scope} search={search} filters={filters} onPut={put} />}
      inspector={
        chosen ? (
          <DecisionDetail key={chosen} id={chosen} scope={scope} onClose={() => put({ decision: '' })} />
        ) : null
      }
    >
      {impossible ? (
        empty
      ) : (
        <Paged found={found} skeleton={10} empty={empty}>
          {(rows) => (
            <DataTable
              label="Decisions"
              columns={columnsOf(scope, chosen !== null)}
              rows={rows}
              keyOf={(row) => row.id}
              chosen={chosen}
              linkTo={(row) => (opens === 'page' ? paths.decision(scope.project, row.id) : beside(row.id))}
              linkLabel={(row) => `${OUTCOME_FACE[row.outcome].label}, ${row.name ?? row.subject}`}
            />
          )}
        </Paged>
      )}
    </ListBeside>
  )
}

/** What is told of a decision where it has room: less beside the facts of one, and its run where there are several. */
function columnsOf(scope: DecisionScope, narrow: boolean): ReadonlyArray<Column<RecordedDecision>> {
  return COLUMNS.filter((column) => !(column === RUN && scope.run) && !(narrow && IN_THE_FACTS.has(column)))
}

const RUN: Column<RecordedDecision> = {
  id: 'run',
  header: 'Run',
  width: '92px',
  cell: (row) => <code className="font-mono text-dense">{shortId(row.run_id)}</code>,
}
const TOOK: Column<RecordedDecision> = {
  id: 'took',
  header: 'Took',
  width: '92px',
  align: 'end',
  wideOnly: true,
  cell: (row) => (
    <span className="text-ink-3">
      {row.duration_us === null ? '' : `${row.duration_us.toLocaleString('en-US')} µs`}
    </span>
  ),
}
const IN_THE_FACTS: ReadonlySet<Column<RecordedDecision>> = new Set([RUN, TOOK])
const COLUMNS: ReadonlyArray<Column<RecordedDecision>> = [
  {
    id: 'outcome',
    header: 'Decision',
    width: '160px',
    cell: (row) => <Status face={OUTCOME_FACE[row.outcome]} />,
  },
  {
    id: 'what',
    header: 'What',
    cell: (row) => (
      <>
        {row.name === null ? null : <span className="font-medium">{row.name} </span>}
        <span className="font-mono text-meta text-ink-3">{row.subject}</span>
      </>
    ),
  },
  { id: 'step', header: 'Step', width: '13%', cell: (row) => row.step_key },
  {
    id: 'by',
    header: 'Decided by',
    width: '28%',
    cell: (row) => (
      <>
        {decidedBy(row)}
        {row.monitored.length > 0 ? (
          <span className="text-ink-3">
            ; monitored: {row.monitored.map((one) => `${one.rule} ${WOULD_HAVE[one.effect]}`).join(', ')}
          </span>
        ) : null}
      </>
    ),
  },
  RUN,
  { id: 'when', header: 'When', width: '160px', cell: (row) => <Moment at={row.at} /> },
  TOOK,
]
