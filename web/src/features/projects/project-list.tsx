import type { Project } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ROLE_WORDS } from '@/features/access/may'
import { paths } from '@/lib/paths'

const COLUMNS: ReadonlyArray<Column<Project>> = [
  { id: 'name', header: 'Project', cell: (row) => <span className="font-medium">{row.name}</span> },
  {
    id: 'slug',
    header: 'Address',
    width: '240px',
    cell: (row) => <code className="font-mono text-dense">{row.slug}</code>,
  },
  {
    id: 'role',
    header: 'Your role',
    width: '120px',
    cell: (row) => ROLE_WORDS[row.role],
  },
  { id: 'created', header: 'Created', width: '220px', cell: (row) => <Moment at={row.created_at} /> },
]

export function ProjectList({ projects }: { projects: readonly Project[] }) {
  return (
    <DataTable
      label="Projects"
      columns={COLUMNS}
      rows={projects}
      keyOf={(row) => row.id}
      linkTo={(row) => paths.runs(row.slug)}
      linkLabel={(row) => row.name}
    />
  )
}
