import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, useSearchParams } from 'react-router'
import type { PolicyDetail, PolicyVersionSummary, Publication } from '@/api/generated/types.gen'
import { CodeEditor } from '@/components/code/code-editor'
import { LineDiff } from '@/components/code/line-diff'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Select } from '@/components/ui/input'
import { cn } from '@/lib/cn'
import { plural } from '@/lib/format'
import { publicationsQuery, versionQuery, versionsQuery } from './api'
import { PublishButton } from './publish-dialog'

/** Every version of a policy, what it changed against another, and who put which in force. */
export function PolicyVersions({ project, policy }: { project: string; policy: PolicyDetail }) {
  const [search, setSearch] = useSearchParams()
  const versions = useInfiniteQuery(versionsQuery(policy.id))
  const publications = useQuery(publicationsQuery(policy.id))
  const chosen = Number(search.get('version')) || policy.latest_version
  const against = Number(search.get('against')) || chosen - 1
  if (versions.isPending) return <SkeletonRows rows={6} height={40} />
  if (!versions.data) return <ProblemPanel error={versions.error} onRetry={() => void versions.refetch()} />
  const items = versions.data.pages.flatMap((page) => page.items)
  return (
    <div className="flex min-h-0 flex-1">
      <div className="w-[280px] shrink-0 overflow-y-auto border-r border-line">
        <ul aria-label="Versions">
          {items.map((one) => (
            <li key={one.version} className="border-b border-line">
              <Item version={one} active={policy.active_version} chosen={one.version === chosen} />
            </li>
          ))}
        </ul>
        {versions.hasNextPage ? (
          <Button className="m-3" onClick={() => void versions.fetchNextPage()}>
            Load more
          </Button>
        ) : null}
        <History publications={publications.data?.items ?? []} />
      </div>
      <div className="flex min-w-0 flex-1 flex-col overflow-y-auto">
        <div className="flex h-10 shrink-0 items-center gap-2 border-b border-line px-4">
          <span className="font-medium">Version {chosen}</span>
          {chosen > 1 ? (
            <>
              <span className="text-ink-2">against</span>
              <Select
                aria-label="Compare with version"
                className="w-32 text-body"
                value={against}
                onChange={(event) =>
                  setSearch({ version: String(chosen), against: event.target.value }, { replace: true })
                }
              >
                {items
                  .filter((one) => one.version !== chosen)
                  .map((one) => (
                    <option key={one.version} value={one.version}>
                      Version {one.version}
                    </option>
                  ))}
              </Select>
            </>
          ) : null}
          <span className="ml-auto">
            {chosen === policy.active_version ? (
              <span className="text-ink-2">In force</span>
            ) : chosen === policy.latest_version ? null : (
              <PublishButton
                key={chosen}
                project={project}
                policy={policy}
                version={chosen}
                variant="secondary"
              />
            )}
          </span>
        </div>
        <Changed policyId={policy.id} version={chosen} against={against} />
      </div>
    </div>
  )
}

type ItemProps = { version: PolicyVersionSummary; active: number | null; chosen: boolean }

function Item({ version, active, chosen }: ItemProps) {
  return (
    <Link
      to={`?version=${version.version}`}
      replace
      aria-current={chosen ? 'true' : undefined}
      className={cn(
        'block border-l-2 border-transparent px-3.5 py-2 hover:bg-raised focus-visible:outline-offset-[-2px]',
        'aria-[current]:border-l-ink aria-[current]:bg-raised',
      )}
    >
      <span className="font-medium">Version {version.version}</span>
      {version.version === active ? <span className="text-tx-succeeded"> in force</span> : null}
      <span className="block text-dense text-ink-3">
        {plural(version.rules_total, 'rule')}, {plural(version.tests_total, 'test')},{' '}
        <Moment at={version.created_at} />
        {version.created_by ? ` by ${version.created_by.name}` : ''}
      </span>
    </Link>
  )
}

function History({ publications }: { publications: readonly Publication[] }) {
  if (publications.length === 0) return null
  return (
    <section aria-label="Published" className="px-4 py-3">
      <h3 className="mb-1 text-dense font-medium text-ink-2">Published</h3>
      <ol className="grid gap-2">
        {publications.map((one) => (
          <li key={one.id} className="text-dense">
            <span className="font-medium">
              {one.version === null ? 'Withdrawn' : `Version ${one.version}`}
            </span>{' '}
            <span className="text-ink-3">
              by {one.published_by?.name ?? 'the system'}, <Moment at={one.at} />
            </span>
            {one.note ? <span className="block text-ink-2">{one.note}</span> : null}
          </li>
        ))}
      </ol>
    </section>
  )
}

type ChangedProps = { policyId: string; version: number; against: number }

function Changed({ policyId, version, against }: ChangedProps) {
  const after = useQuery(versionQuery(policyId, version))
  const before = useQuery({ ...versionQuery(policyId, against), enabled: against > 0 })
  const error = after.error ?? before.error
  if (error) return <ProblemPanel error={error} />
  if (!after.data || (against > 0 && !before.data)) return <SkeletonRows rows={10} height={24} />
  if (!before.data) {
    return (
      <CodeEditor
        key={version}
        label={`Version ${version}`}
        language={after.data.source.trimStart().startsWith('{') ? 'json' : 'yaml'}
        text={after.data.source}
        className="flex-1"
      />
    )
  }
  return (
    <LineDiff
      label={`Changes from version ${against} to version ${version}`}
      before={before.data.source}
      after={after.data.source}
    />
  )
}
