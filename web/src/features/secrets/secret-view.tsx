import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import type { SecretDetail, SecretUse, SecretVersion } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { CopyButton } from '@/components/copy-button'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { useRestoreSecret, usesQuery, versionsQuery } from './api'
import { ArchiveDialog, NewVersionDialog } from './secret-dialogs'

export function SecretFacts({ secret }: { secret: SecretDetail }) {
  return (
    <>
      {secret.archived_at ? (
        <>
          Archived <Moment at={secret.archived_at} />,{' '}
        </>
      ) : null}
      version {secret.latest_version}, made <Moment at={secret.created_at} />
      {secret.description ? `. ${secret.description}` : ''}
    </>
  )
}

export function SecretActions({ secret }: { secret: SecretDetail }) {
  const [asked, setAsked] = useState<'version' | 'archive' | null>(null)
  const restore = useRestoreSecret(secret.id)
  const bring = () =>
    restore.mutate(undefined, {
      onSuccess: () => toast('Restored'),
      onError: (error) => toast(asProblem(error).detail, { bad: true }),
    })
  const close = () => setAsked(null)
  if (secret.archived_at) {
    return (
      <Button disabled={restore.isPending} onClick={bring}>
        Restore
      </Button>
    )
  }
  return (
    <>
      <Button onClick={() => setAsked('archive')}>Archive</Button>
      <Button variant="primary" onClick={() => setAsked('version')}>
        New version
      </Button>
      <NewVersionDialog secret={secret} open={asked === 'version'} onOpenChange={close} />
      <ArchiveDialog
        secret={secret}
        workflows={secret.workflows.length}
        open={asked === 'archive'}
        onOpenChange={close}
      />
    </>
  )
}

/** A secret: how to refer to it, who does, its versions, and the calls that were given it. */
export function SecretView({ project, secret }: { project: string; secret: SecretDetail }) {
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <Section title="Reference">
        <p className="flex items-center gap-2 px-4 py-1">
          <code className="font-mono text-dense">{secret.reference}</code>
          <CopyButton text={() => secret.reference} label="Copy reference" />
        </p>
        <p className="max-w-2xl px-4 pb-1 text-ink-2">
          Write it into an argument of a tool, as a text of its own. What expressions give and what models ask
          for never refers to a secret.
        </p>
      </Section>
      <Section title="Workflows that refer to it">
        {secret.workflows.length === 0 ? (
          <p className="px-4 py-1 text-ink-2">None does in its latest version.</p>
        ) : (
          <ul className="px-4 py-1">
            {secret.workflows.map((one) => (
              <li key={one.id}>
                <Link to={paths.workflow(project, one.id)} className="underline">
                  {one.name}
                </Link>{' '}
                <span className="text-ink-3">version {one.version}</span>
              </li>
            ))}
          </ul>
        )}
      </Section>
      <Versions secretId={secret.id} />
      <Uses project={project} secretId={secret.id} />
    </div>
  )
}

function Section({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section aria-label={title} className="border-b border-line pb-2">
      <h2 className="px-4 pt-4 pb-1 text-section font-semibold">{title}</h2>
      {children}
    </section>
  )
}

const VERSIONS: ReadonlyArray<Column<SecretVersion>> = [
  { id: 'version', header: 'Version', width: '80px', cell: (one) => one.version },
  { id: 'at', header: 'Put', width: '160px', cell: (one) => <Moment at={one.created_at} /> },
  { id: 'by', header: 'By', cell: (one) => one.created_by?.name ?? 'An operator, by command' },
  {
    id: 'key',
    header: 'Encrypted under key',
    width: '200px',
    cell: (one) => <code className="font-mono text-dense">{one.kek_id}</code>,
  },
]

function Versions({ secretId }: { secretId: string }) {
  const found = useInfiniteQuery(versionsQuery(secretId))
  return (
    <Section title="Versions">
      {found.isError ? <ProblemPanel error={found.error} onRetry={() => void found.refetch()} /> : null}
      <DataTable
        label="Versions"
        columns={VERSIONS}
        rows={found.data?.pages.flatMap((page) => page.items) ?? []}
        keyOf={(one) => String(one.version)}
      />
      {found.hasNextPage ? (
        <Button className="m-3" onClick={() => void found.fetchNextPage()}>
          Load more
        </Button>
      ) : null}
    </Section>
  )
}

const usesColumns = (project: string): ReadonlyArray<Column<SecretUse>> => [
  { id: 'at', header: 'When', width: '160px', cell: (use) => <Moment at={use.at} /> },
  { id: 'version', header: 'Version', width: '80px', cell: (use) => use.version ?? '' },
  {
    id: 'run',
    header: 'Run',
    width: '140px',
    cell: (use) => (
      <Link to={paths.run(project, use.run_id)} className="font-mono text-dense underline">
        {shortId(use.run_id)}
      </Link>
    ),
  },
  {
    id: 'call',
    header: 'Call',
    cell: (use) => <code className="font-mono text-dense">{shortId(use.call_id)}</code>,
  },
]

function Uses({ project, secretId }: { project: string; secretId: string }) {
  const found = useInfiniteQuery(usesQuery(secretId))
  const uses = found.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Section title="Given to calls">
      {found.isError ? <ProblemPanel error={found.error} onRetry={() => void found.refetch()} /> : null}
      {uses.length === 0 ? (
        <p className="px-4 py-1 text-ink-2">{found.isPending ? '' : 'No call was given it yet.'}</p>
      ) : (
        <DataTable label="Uses" columns={usesColumns(project)} rows={uses} keyOf={(use) => use.id} />
      )}
      {found.hasNextPage ? (
        <Button className="m-3" onClick={() => void found.fetchNextPage()}>
          Load more
        </Button>
      ) : null}
    </Section>
  )
}
