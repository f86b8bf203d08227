import { useInfiniteQuery } from '@tanstack/react-query'
import { useSearchParams } from 'react-router'
import type { SecurityEvent } from '@/api/generated/types.gen'
import { usePolling } from '@/api/use-live'
import { type Column, DataTable } from '@/components/data-table'
import { Status } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Input, Select } from '@/components/ui/input'
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
  const [search, setSearch] = useSearchParams()
  const poll = usePolling(POLL_MS)
  const severity = SEVERITIES.find((one) => one === search.get('severity')) ?? ''
  const filters: EventFilters = { kind: search.get('kind') ?? '', severity }
  const found = useInfiniteQuery({
    ...eventsQuery(scope, filters),
    refetchInterval: ({ state }) => (state.error ? false : poll),
  })
  const rows = found.data?.pages.flatMap((page) => page.items) ?? []
  const set = (key: 'kind' | 'severity', value: string) =>
    setSearch(
      (past) => {
        if (value === '') past.delete(key)
        else past.set(key, value)
        return past
      },
      { replace: true },
    )
  return (
    <>
      <div
        role="search"
        aria-label="Filter security events"
        className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-1"
      >
        <Select
          aria-label="Severity"
          className="w-36 text-body"
          value={severity}
          onChange={(event) => set('severity', event.target.value)}
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
          onChange={(event) => set('kind', event.target.value.trim())}
        />
      </div>
      <div className="min-h-0 flex-1 overflow-auto">
        {found.isError && !found.data ? (
          <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
        ) : null}
        {found.isPending ? <SkeletonRows rows={10} /> : null}
        {found.data && rows.length === 0 ? (
          <Empty title="No security events">
            Sign-ins that fail, tokens used twice, refusals in series, and keys from new networks stand here.
            {scope.everywhere ? '' : ' Those that belong to no project are seen by administrators.'}
          </Empty>
        ) : null}
        {rows.length > 0 ? (
          <DataTable
            label="Security events"
            columns={COLUMNS}
            rows={rows}
            keyOf={(event) => String(event.number)}
          />
        ) : null}
        {found.hasNextPage ? (
          <Button className="m-3" onClick={() => void found.fetchNextPage()}>
            Load more
          </Button>
        ) : null}
      </div>
    </>
  )
}
