import { useQuery } from '@tanstack/react-query'
import type { Tool } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { paths } from '@/lib/paths'
import { toolsQuery } from './api'
import { EFFECT_WORDS } from './effect-words'

const COLUMNS: ReadonlyArray<Column<Tool>> = [
  {
    id: 'name',
    header: 'Tool',
    width: '180px',
    cell: (row) => <code className="font-mono font-medium">{row.name}</code>,
  },
  { id: 'effect', header: 'Effect', width: '200px', cell: (row) => EFFECT_WORDS[row.effect_class].label },
  {
    id: 'description',
    header: 'Description',
    cell: (row) => <span className="text-ink-2">{row.description}</span>,
  },
  {
    id: 'digest',
    header: 'Digest',
    width: '128px',
    wideOnly: true,
    cell: (row) => <code className="font-mono text-dense text-ink-3">{row.digest.slice(0, 12)}</code>,
  },
]

/** The tools that a project's agents and workflows may use, in all states. */
export function ToolList({ project }: { project: string }) {
  const tools = useQuery(toolsQuery(project))
  if (tools.isPending) return <SkeletonRows rows={6} />
  if (!tools.data) return <ProblemPanel error={tools.error} onRetry={() => void tools.refetch()} />
  if (tools.data.items.length === 0) {
    return (
      <Empty title="No tools yet">This project has nothing that its agents and workflows could use.</Empty>
    )
  }
  return (
    <DataTable
      label="Tools"
      columns={COLUMNS}
      rows={tools.data.items}
      keyOf={(row) => row.id}
      linkTo={(row) => paths.tool(project, row.id)}
      linkLabel={(row) => row.name}
    />
  )
}
