import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { RunSummary, WorkflowSummary } from '@/api/generated/types.gen'
import { usePolling } from '@/api/use-live'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { paths } from '@/lib/paths'
import { workflowsQuery } from './api'
import { recentRunsQuery } from './edit-api'
import { LastRuns } from './last-runs'

const POLL_MS = 10_000

type RunsOf = (workflow: WorkflowSummary) => readonly RunSummary[] | undefined

const columns = (runsOf: RunsOf): ReadonlyArray<Column<WorkflowSummary>> => [
  {
    id: 'name',
    header: 'Workflow',
    width: '26%',
    cell: (row) => <span className="font-medium">{row.name}</span>,
  },
  { id: 'runs', header: 'Last runs', width: '184px', cell: (row) => <LastRuns runs={runsOf(row)} /> },
  {
    id: 'description',
    header: 'Description',
    wideOnly: true,
    cell: (row) => <span className="text-ink-2">{row.description}</span>,
  },
  { id: 'version', header: 'Version', width: '80px', align: 'end', cell: (row) => row.latest_version },
  {
    id: 'steps',
    header: 'Steps',
    width: '72px',
    align: 'end',
    cell: (row) => row.steps_total.toLocaleString('en-US'),
  },
  { id: 'updated', header: 'Changed', width: '180px', cell: (row) => <Moment at={row.updated_at} /> },
]

type WorkflowListProps = {
  project: string
  /** What to offer where there is no workflow yet. */
  make: ReactNode
}

/** The workflows of a project in all its states. */
export function WorkflowList({ project, make }: WorkflowListProps) {
  const workflows = useQuery(workflowsQuery(project))
  const poll = usePolling(POLL_MS)
  const runs = useQuery({ ...recentRunsQuery(project), refetchInterval: poll })
  if (workflows.isPending) return <SkeletonRows rows={8} />
  if (!workflows.data)
    return <ProblemPanel error={workflows.error} onRetry={() => void workflows.refetch()} />
  if (workflows.data.items.length === 0) {
    return (
      <Empty title="No workflows yet" action={make}>
        A workflow says which steps a run takes and what each of them needs. It is a text in YAML; every
        change makes a new version.
      </Empty>
    )
  }
  return (
    <DataTable
      label="Workflows"
      columns={columns((row) => runs.data?.items.filter((run) => run.workflow.id === row.id))}
      rows={workflows.data.items}
      keyOf={(row) => row.id}
      linkTo={(row) => paths.workflow(project, row.id)}
      linkLabel={(row) => row.name}
    />
  )
}
