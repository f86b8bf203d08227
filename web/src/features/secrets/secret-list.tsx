import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import type { Secret, SecretList as SecretListPage } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
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
  if (found.isError && !found.data) {
    return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  }
  if (!found.data) return <SkeletonRows rows={6} />
  const source = found.data.pages[0]?.source ?? 'database'
  const secrets = found.data.pages.flatMap((page) => page.items)
  if (source !== 'database') return <Empty title="Secrets lie outside">{OUTSIDE[source]}</Empty>
  if (secrets.length === 0)
    return archived ? <Empty title="No secret was archived" /> : <None onNew={onNew} />
  return (
    <>
      <DataTable
        label="Secrets"
        columns={COLUMNS}
        rows={secrets}
        keyOf={(secret) => secret.id}
        linkTo={(secret) => paths.secret(project, secret.id)}
      />
      {found.hasNextPage ? (
        <Button className="m-3" onClick={() => void found.fetchNextPage()}>
          Load more
        </Button>
      ) : null}
    </>
  )
}

function None({ onNew }: { onNew: () => void }) {
  return (
    <Empty
      title="No secrets yet"
      action={
        <Button variant="primary" onClick={onNew}>
          New secret
        </Button>
      }
    >
      Keep a password or key here, and write <code className="font-mono text-dense">secret://name</code> where
      a workflow needs it. The value goes to the call alone: models, logs and records see the reference.
    </Empty>
  )
}

export function BackToSecrets({ project }: { project: string }) {
  return (
    <Link to={paths.secrets(project)} className="text-ink-2 hover:text-ink">
      Secrets
    </Link>
  )
}
