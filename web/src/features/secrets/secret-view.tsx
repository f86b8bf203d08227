import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import type { SecretDetail, SecretUse, SecretVersion } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { CopyButton } from '@/components/copy-button'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { Section } from '@/components/page'
import { Paged } from '@/components/paged'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
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
      {secret.archived_at ? 'version' : 'Version'} {secret.latest_version}, made{' '}
      <Moment at={secret.created_at} />
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
      <PermittedButton permission="secret:manage" disabled={restore.isPending} onClick={bring}>
        Restore
      </PermittedButton>
    )
  }
  return (
    <>
      <PermittedButton permission="secret:manage" onClick={() => setAsked('archive')}>
        Archive
      </PermittedButton>
      <PermittedButton permission="secret:manage" variant="primary" onClick={() => setAsked('version')}>
        New version
      </PermittedButton>
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
    <>
      <Section title="Reference">
        <div className="grid gap-1 border-b border-line px-4 py-3">
          <p className="flex items-center gap-2">
            <code className="min-w-0 font-mono text-dense break-all">{secret.reference}</code>
            <CopyButton text={() => secret.reference} label="Copy reference" />
          </p>
          <p className="max-w-2xl text-ink-2">
            Write it into an argument of a tool, as a text of its own. What expressions give and what models
            ask for never refers to a secret.
          </p>
        </div>
      </Section>
      <Section title="Workflows that refer to it">
        {secret.workflows.length === 0 ? (
          <Nothing>None does in its latest version.</Nothing>
        ) : (
          <ul className="grid gap-1 border-b border-line px-4 py-3">
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
    </>
  )
}

function Nothing({ children }: { children: string }) {
  return <p className="border-b border-line px-4 py-3 text-ink-2">{children}</p>
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
      <Paged found={found} skeleton={2} empty={null}>
        {(versions) => (
          <DataTable
            label="Versions"
            columns={VERSIONS}
            rows={versions}
            keyOf={(one) => String(one.version)}
          />
        )}
      </Paged>
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
  return (
    <Section title="Given to calls">
      <Paged found={found} skeleton={2} empty={<Nothing>No call was given it yet.</Nothing>}>
        {(uses) => (
          <DataTable label="Uses" columns={usesColumns(project)} rows={uses} keyOf={(use) => use.id} />
        )}
      </Paged>
    </Section>
  )
}
