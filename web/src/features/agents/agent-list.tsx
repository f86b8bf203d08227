import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { Agent } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { ScriptedMark } from '@/components/scripted-mark'
import { Empty, SkeletonRows } from '@/components/states'
import { paths } from '@/lib/paths'
import { isScripted, modelOf, toolsOf } from './agent-facts'
import { agentsQuery } from './api'

const COLUMNS: ReadonlyArray<Column<Agent>> = [
  {
    id: 'name',
    header: 'Agent',
    width: '30%',
    cell: (row) => <span className="font-medium">{row.name}</span>,
  },
  {
    id: 'model',
    header: 'Model',
    width: '160px',
    cell: (row) =>
      isScripted(row.latest.definition) ? (
        <ScriptedMark />
      ) : (
        <code className="font-mono text-dense">{modelOf(row.latest.definition)}</code>
      ),
  },
  {
    id: 'tools',
    header: 'Tools',
    cell: (row) => (
      <code className="font-mono text-dense text-ink-2">
        {toolsOf(row.latest.definition).join(', ') || 'none'}
      </code>
    ),
  },
  { id: 'version', header: 'Version', width: '80px', align: 'end', cell: (row) => row.latest.version },
  { id: 'changed', header: 'Changed', width: '180px', cell: (row) => <Moment at={row.latest.created_at} /> },
]

type AgentListProps = {
  project: string
  /** What to offer where there is no agent yet. */
  make: ReactNode
}

/** The agents of a project in all its states. */
export function AgentList({ project, make }: AgentListProps) {
  const agents = useQuery(agentsQuery(project))
  if (agents.isPending) return <SkeletonRows rows={8} />
  if (!agents.data) return <ProblemPanel error={agents.error} onRetry={() => void agents.refetch()} />
  if (agents.data.items.length === 0) {
    return (
      <Empty title="No agents yet" action={make}>
        An agent is a model with instructions and the tools that it may use. Steps of a workflow name it.
      </Empty>
    )
  }
  return (
    <DataTable
      label="Agents"
      columns={COLUMNS}
      rows={agents.data.items}
      keyOf={(row) => row.id}
      linkTo={(row) => paths.agent(project, row.id)}
      linkLabel={(row) => row.name}
    />
  )
}
