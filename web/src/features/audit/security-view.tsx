import { useInfiniteQuery } from '@tanstack/react-query'
import type { SecurityEvent } from '@/api/generated/types.gen'
import { usePolling } from '@/api/use-live'
import { type Column, DataTable } from '@/components/data-table'
import { Status } from '@/components/glyph'
import { FilterBar, ListBeside } from '@/components/inspector'
import { Moment } from '@/components/moment'
import { Paged } from '@/components/paged'
import { Empty } from '@/components/states'
import { Input, Select } from '@/components/ui/input'
import { useAddress } from '@/lib/use-address'
import { type AuditScope, type EventFilters, eventsQuery } from './api'
import { SEVERITY_FACE } from './words'

const POLL_MS = 15_000
const SEVERITIES = ['critical', 'warning', 'info'] as const

const COLUMNS: ReadonlyArray<Column<SecurityEvent>> = [
  { id: 'at', header: 'Time', width: '124px', cell: (event) => <Moment at={event.at} /> },
  {
    id: 'severity',
    header: 'Severity',
    width: '104px',
    cell: (event) => <Status face={SEVERITY_FACE[event.severity]} />,
  },
  {
    id: 'kind',
    header: 'What',
    width: '20%',
    cell: (event) => <code className="font-mono text-dense">{event.kind}</code>,
  },
  { id: 'who', header: 'Who', width: '18%', cell: (event) => event.who?.name ?? event.email },
  { id: 'address', header: 'Address', width: '132px', cell: (event) => event.address },
  {
    id: 'detail',
    header: 'Details',
    cell: (event) => (
      <span title={JSON.stringify(event.detail, null, 2)} className="text-ink-2">
        {detailWords(event.detail)}
      </span>
    ),
  },
]

const detailWords = (detail: Record<string, unknown>): string =>
  Object.entries(detail)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(', ')

/** What happened to the safety of the platform without being a change: sign-ins that failed, refusals in series, … */
export function SecurityView({ scope }: { scope: AuditScope }) {
  const [search, put] = useAddress()
  const poll = usePolling(POLL_MS)
  const severity = SEVERITIES.find((one) => one === search.get('severity')) ?? ''
  const filters: EventFilters = { kind: search.get('kind') ?? '', severity }
  const found = useInfiniteQuery({
    ...eventsQuery(scope, filters),
    refetchInterval: ({ state }) => (state.error ? false : poll),
  })
  return (
    <ListBeside
      inspector={null}
      bar={
        <FilterBar label="Filter security events">
          <Select
            aria-label="Severity"
            className="w-36 text-body"
            value={severity}
            onChange={(event) => put({ severity: event.target.value })}
          >
            <option value="">All severities</option>
            {SEVERITIES.map((one) => (
              <option key={one} value={one}>
                {SEVERITY_FACE[one].label}
              </option>
            ))}
          </Select>
          <Input
            type="search"
            aria-label="Kind"
            placeholder="Kind, such as sign-in"
            maxLength={100}
            className="w-48 text-body"
            value={filters.kind}
            onChange={(event) => put({ kind: event.target.value.trim() })}
          />
        </FilterBar>
      }
    >
      <Paged
        found={found}
        skeleton={10}
        empty={
          <Empty title="No security events">
            Sign-ins that fail, tokens used twice, refusals in series, and keys from new networks stand here.
            {scope.everywhere ? '' : ' Those that belong to no project are seen by administrators.'}
          </Empty>
        }
      >
        {(rows) => (
          <DataTable
            label="Security events"
            columns={COLUMNS}
            rows={rows}
            keyOf={(event) => String(event.number)}
          />
        )}
      </Paged>
    </ListBeside>
  )
}
