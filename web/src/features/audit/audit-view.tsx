import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Download, X } from 'lucide-react'
import { useMemo, useState } from 'react'
import type { AuditLine } from '@/api/generated/types.gen'
import { usePolling } from '@/api/use-live'
import { type Column, DataTable } from '@/components/data-table'
import { FilterBar, ListBeside } from '@/components/inspector'
import { Moment } from '@/components/moment'
import { Paged } from '@/components/paged'
import { Empty } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Input, Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { SPANS, sinceOf } from '@/lib/span'
import { useAddress } from '@/lib/use-address'
import {
  type AuditScope,
  actionsQuery,
  exportLines,
  type LineFilters,
  lineQuery,
  linesQuery,
  newestQuery,
} from './api'
import { LineDetail } from './line-detail'
import { objectWords, whoDid } from './words'

const POLL_MS = 15_000
const KEPT_MS = 60_000
const FILTERS = ['action', 'actor', 'object', 'request', 'span'] as const
type Filter = (typeof FILTERS)[number]

type AuditViewProps = { scope: AuditScope }

/** The lines of the trail, the newest first, with the chosen one beside them. All that is chosen is in the address. */
export function AuditView({ scope }: AuditViewProps) {
  const [search, put] = useAddress()
  const span = search.get('span') ?? ''
  const since = useMemo(() => sinceOf(span, Date.now()), [span])
  const filters: LineFilters = {
    action: search.get('action') ?? '',
    actor: search.get('actor') ?? '',
    object: search.get('object') ?? '',
    request_id: search.get('request') ?? '',
    since,
  }
  const found = useInfiniteQuery(linesQuery(scope, filters))
  const actions = useQuery(actionsQuery)
  const meanings = new Map(actions.data?.items.map((one) => [one.action, one.meaning]))
  const rows = found.data?.pages.flatMap((page) => page.items) ?? []
  const chosen = Number(search.get('line')) || null
  const set = (key: Filter | 'line', value: string) => put({ [key]: value })
  const clear = () => put(Object.fromEntries(FILTERS.map((key) => [key, ''])))
  const filtered = FILTERS.some((key) => search.has(key))
  const linkTo = (line: AuditLine) => {
    const to = new URLSearchParams(search)
    to.set('line', String(line.number))
    return `?${to}`
  }
  return (
    <ListBeside
      bar={
        <>
          <FilterBar label="Filter the audit log">
            <ActionSelect
              actions={[...meanings.keys()]}
              value={filters.action}
              onChange={(v) => set('action', v)}
            />
            <Select
              aria-label="Time"
              className="w-32 text-body"
              value={span}
              onChange={(event) => set('span', event.target.value)}
            >
              <option value="">All time</option>
              {Object.entries(SPANS).map(([key, label]) => (
                <option key={key} value={key}>
                  {label}
                </option>
              ))}
            </Select>
            <Input
              type="search"
              aria-label="Object"
              placeholder="Object, such as policy"
              maxLength={200}
              className="min-w-28 max-w-48 flex-1 text-body"
              value={filters.object}
              onChange={(event) => set('object', event.target.value.trim())}
            />
            <Input
              type="search"
              aria-label="Request id"
              placeholder="Request id"
              maxLength={128}
              className="min-w-28 max-w-48 flex-1 text-body"
              value={filters.request_id}
              onChange={(event) => set('request', event.target.value.trim())}
            />
            {filters.actor ? (
              <Button size="sm" aria-label="Lines of everybody" onClick={() => set('actor', '')}>
                <X aria-hidden />
                {rows[0] ? whoDid(rows[0]) : filters.actor}
              </Button>
            ) : null}
            {filtered ? (
              <Button variant="ghost" size="sm" onClick={clear}>
                <X aria-hidden />
                Clear filters
              </Button>
            ) : null}
            <span className="ml-auto flex shrink-0 gap-1">
              <Export scope={scope} filters={filters} format="jsonl" label="JSON lines" />
              <Export scope={scope} filters={filters} format="csv" label="CSV" />
            </span>
          </FilterBar>
          <NewLines
            scope={scope}
            filters={filters}
            first={rows[0]?.number}
            onShow={() => void found.refetch()}
          />
        </>
      }
      inspector={
        chosen ? (
          <Chosen
            key={chosen}
            scope={scope}
            number={chosen}
            meanings={meanings}
            onClose={() => set('line', '')}
            onOnly={set}
          />
        ) : null
      }
    >
      <Paged
        found={found}
        skeleton={14}
        empty={
          <Empty
            title={filtered ? 'No such lines' : 'No lines'}
            action={filtered ? <Button onClick={clear}>Clear filters</Button> : null}
          >
            Every change that matters for trust leaves a line here, in the transaction of the change.
          </Empty>
        }
      >
        {(lines) => (
          <DataTable
            label="Audit log"
            columns={scope.everywhere ? [...COLUMNS, PROJECT] : COLUMNS}
            rows={lines}
            keyOf={(line) => String(line.number)}
            chosen={search.get('line')}
            linkTo={linkTo}
            linkLabel={(line) => `Line ${line.number}: ${line.action} by ${whoDid(line)}`}
          />
        )}
      </Paged>
    </ListBeside>
  )
}

const COLUMNS: ReadonlyArray<Column<AuditLine>> = [
  { id: 'at', header: 'Time', width: '124px', cell: (line) => <Moment at={line.at} /> },
  { id: 'who', header: 'Who', width: '20%', cell: whoDid },
  {
    id: 'action',
    header: 'Action',
    width: '22%',
    cell: (line) => <code className="font-mono text-dense">{line.action}</code>,
  },
  {
    id: 'object',
    header: 'Object',
    cell: (line) => <span title={line.object}>{objectWords(line.object)}</span>,
  },
  { id: 'address', header: 'Address', width: '132px', wideOnly: true, cell: (line) => line.address },
]
const PROJECT: Column<AuditLine> = {
  id: 'project',
  header: 'Project',
  width: '14%',
  cell: (line) => line.project ?? <span className="text-ink-3">installation</span>,
}

type ActionSelectProps = { actions: readonly string[]; value: string; onChange: (value: string) => void }

/** All actions, each group as a whole first. */
function ActionSelect({ actions, value, onChange }: ActionSelectProps) {
  const groups = [...new Set(actions.map((action) => action.split('.')[0] ?? action))]
  return (
    <Select
      aria-label="Action"
      className="w-44 text-body"
      value={value}
      onChange={(event) => onChange(event.target.value)}
    >
      <option value="">All actions</option>
      {groups.map((group) => (
        <optgroup key={group} label={group}>
          <option value={group}>{group}: all</option>
          {actions
            .filter((action) => action.startsWith(`${group}.`))
            .map((action) => (
              <option key={action} value={action}>
                {action}
              </option>
            ))}
        </optgroup>
      ))}
      {value !== '' && !actions.includes(value) && !groups.includes(value) ? (
        <option value={value}>{value}</option>
      ) : null}
    </Select>
  )
}

type NewLinesProps = {
  scope: AuditScope
  filters: LineFilters
  first: number | undefined
  onShow: () => void
}

/** The log does not move under the reader: new lines are told of, and shown when that is wanted. */
function NewLines({ scope, filters, first, onShow }: NewLinesProps) {
  const poll = usePolling(POLL_MS)
  const newest = useQuery({
    ...newestQuery(scope, filters),
    refetchInterval: ({ state }) => (state.error ? false : poll),
    enabled: first !== undefined,
  })
  const last = newest.data?.items[0]?.number
  if (first === undefined || last === undefined || last <= first) return null
  return (
    <div role="status" className="flex items-center gap-3 border-b border-line bg-raised px-4 py-1">
      There are new lines.
      <Button size="sm" onClick={onShow}>
        Show
      </Button>
    </div>
  )
}

type ExportProps = { scope: AuditScope; filters: LineFilters; format: 'jsonl' | 'csv'; label: string }

function Export({ scope, filters, format, label }: ExportProps) {
  const [busy, setBusy] = useState(false)
  const save = async () => {
    setBusy(true)
    try {
      const address = URL.createObjectURL(await exportLines(scope, filters, format))
      const link = document.createElement('a')
      link.href = address
      link.download = `audit-${scope.everywhere ? 'installation' : scope.project}.${format}`
      link.click()
      setTimeout(() => URL.revokeObjectURL(address), KEPT_MS)
    } catch (error) {
      toast((error as Error).message, { bad: true })
    } finally {
      setBusy(false)
    }
  }
  return (
    <Button variant="ghost" size="sm" disabled={busy} aria-label={`Export as ${label}`} onClick={save}>
      <Download aria-hidden />
      {label}
    </Button>
  )
}

type ChosenProps = {
  scope: AuditScope
  number: number
  meanings: ReadonlyMap<string, string>
  onClose: () => void
  onOnly: (key: 'actor' | 'object' | 'request', value: string) => void
}

function Chosen({ meanings, ...rest }: ChosenProps) {
  const line = useQuery(lineQuery(rest.scope, rest.number))
  const meaning = line.data ? meanings.get(line.data.action) : undefined
  return <LineDetail {...rest} {...(meaning === undefined ? {} : { meaning })} />
}
