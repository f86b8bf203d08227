import { useInfiniteQuery } from '@tanstack/react-query'
import type { Secret, SecretList as SecretListPage } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { Paged } from '@/components/paged'
import { Empty } from '@/components/states'
import { PermittedButton } from '@/features/access/permitted-button'
import { paths } from '@/lib/paths'
import { secretsQuery } from './api'

const COLUMNS: ReadonlyArray<Column<Secret>> = [
  {
    id: 'name',
    header: 'Name',
    width: '22%',
    cell: (secret) => <span className="font-medium">{secret.name}</span>,
  },
  { id: 'for', header: 'What it is for', cell: (secret) => secret.description },
  {
    id: 'reference',
    header: 'Reference',
    width: '24%',
    wideOnly: true,
    cell: (secret) => <code className="font-mono text-dense">{secret.reference}</code>,
  },
  {
    id: 'version',
    header: 'Version',
    width: '72px',
    align: 'end',
    cell: (secret) => secret.latest_version,
  },
  {
    id: 'used',
    header: 'Last used',
    width: '150px',
    cell: (secret) =>
      secret.last_used_at ? <Moment at={secret.last_used_at} /> : <span className="text-ink-3">Never</span>,
  },
]

const OUTSIDE: Record<Exclude<SecretListPage['source'], 'database'>, string> = {
  vault:
    'This installation reads secrets from a vault outside. Write them there, below the name of this project.',
  files:
    'This installation reads secrets from files that its orchestrator mounts. Put them there, below the name of this project.',
}

type SecretListProps = { project: string; archived: boolean; onNew: () => void }

/** The secrets of a project. What they hold is not there to be shown. */
export function SecretList({ project, archived, onNew }: SecretListProps) {
  const found = useInfiniteQuery(secretsQuery(project, archived))
  const source = found.data?.pages[0]?.source ?? 'database'
  if (source !== 'database') return <Empty title="Secrets lie outside">{OUTSIDE[source]}</Empty>
  return (
    <Paged found={found} empty={archived ? <Empty title="No secret was archived" /> : <None onNew={onNew} />}>
      {(secrets) => (
        <DataTable
          label="Secrets"
          columns={COLUMNS}
          rows={secrets}
          keyOf={(secret) => secret.id}
          linkTo={(secret) => paths.secret(project, secret.id)}
        />
      )}
    </Paged>
  )
}

function None({ onNew }: { onNew: () => void }) {
  return (
    <Empty
      title="No secrets yet"
      action={
        <PermittedButton permission="secret:manage" variant="primary" onClick={onNew}>
          New secret
        </PermittedButton>
      }
    >
      Keep a password or key here, and write <code className="font-mono text-dense">secret://name</code> where
      a workflow needs it. The value goes to the call alone: models, logs and records see the reference.
    </Empty>
  )
}
