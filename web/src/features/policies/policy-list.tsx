import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { PolicySummary } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Status } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { paths } from '@/lib/paths'
import { policiesQuery } from './api'
import { standing } from './words'

const POLL_MS = 30_000

const COLUMNS: ReadonlyArray<Column<PolicySummary>> = [
  {
    id: 'name',
    header: 'Policy',
    width: '22%',
    cell: (row) => <span className="font-medium">{row.name}</span>,
  },
  { id: 'standing', header: 'Status', width: '128px', cell: (row) => <Status face={standing(row)} /> },
  {
    id: 'scope',
    header: 'Applies to',
    width: '136px',
    cell: (row) => (row.project === null ? 'The installation' : 'This project'),
  },
  {
    id: 'description',
    header: 'Description',
    wideOnly: true,
    cell: (row) => <span className="text-ink-2">{row.description}</span>,
  },
  { id: 'rules', header: 'Rules', width: '72px', align: 'end', cell: (row) => row.rules_total },
  { id: 'tests', header: 'Tests', width: '72px', align: 'end', cell: (row) => row.tests_total },
  {
    id: 'held',
    header: 'Held, 24 h',
    width: '96px',
    align: 'end',
    cell: (row) => row.held_24h.toLocaleString('en-US'),
  },
  {
    id: 'denied',
    header: 'Denied, 24 h',
    width: '112px',
    align: 'end',
    cell: (row) => row.denied_24h.toLocaleString('en-US'),
  },
  {
    id: 'version',
    header: 'Version',
    width: '112px',
    align: 'end',
    cell: (row) => versionWords(row),
  },
  { id: 'changed', header: 'Changed', width: '160px', cell: (row) => <Moment at={row.updated_at} /> },
]

/** `3`, or `2 of 3` where the latest is not the one in force. */
function versionWords(row: PolicySummary): string {
  if (row.active_version === null) return `none of ${row.latest_version}`
  return row.active_version === row.latest_version
    ? String(row.active_version)
    : `${row.active_version} of ${row.latest_version}`
}

type PolicyListProps = {
  project: string
  /** What to offer where there is no policy yet. */
  make: ReactNode
}

/** The policies that judge what happens in a project. */
export function PolicyList({ project, make }: PolicyListProps) {
  const found = useQuery({ ...policiesQuery(project), refetchInterval: POLL_MS })
  if (found.isPending) return <SkeletonRows rows={8} />
  if (!found.data) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  if (found.data.items.length === 0) {
    return (
      <Empty title="No policies yet" action={make}>
        A policy is a list of rules that are asked before every call of a model or a tool: what is allowed,
        what is denied, and what a person has to look at first. Until there is one, the default of the project
        holds.
      </Empty>
    )
  }
  return (
    <DataTable
      label="Policies"
      columns={COLUMNS}
      rows={found.data.items}
      keyOf={(row) => row.id}
      linkTo={(row) => paths.policy(project, row.id)}
      linkLabel={(row) => row.name}
    />
  )
}
