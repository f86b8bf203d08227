import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useSearchParams } from 'react-router'
import { CodeEditor } from '@/components/code/code-editor'
import { LineDiff } from '@/components/code/line-diff'
import { VersionList } from '@/components/code/version-list'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { versionQuery, versionsQuery } from './edit-api'

type VersionsViewProps = { workflowId: string; latest: number }

/** Every version of a workflow, and what each of them changed. The chosen one is in the address. */
export function VersionsView({ workflowId, latest }: VersionsViewProps) {
  const [search] = useSearchParams()
  const versions = useInfiniteQuery(versionsQuery(workflowId))
  const chosen = Number(search.get('version')) || latest
  if (versions.isPending) return <SkeletonRows rows={6} height={40} />
  if (!versions.data) return <ProblemPanel error={versions.error} onRetry={() => void versions.refetch()} />
  return (
    <div className="flex min-h-0 flex-1">
      <div className="w-[240px] shrink-0 overflow-y-auto border-r border-line">
        <VersionList versions={versions.data.pages.flatMap((page) => page.items)} chosen={chosen} />
        {versions.hasNextPage ? (
          <Button className="m-3" onClick={() => void versions.fetchNextPage()}>
            Load more
          </Button>
        ) : null}
      </div>
      <div className="flex min-w-0 flex-1 flex-col overflow-y-auto">
        <Change workflowId={workflowId} version={chosen} />
      </div>
    </div>
  )
}

function Change({ workflowId, version }: { workflowId: string; version: number }) {
  const after = useQuery(versionQuery(workflowId, version))
  const before = useQuery({ ...versionQuery(workflowId, version - 1), enabled: version > 1 })
  const error = after.error ?? before.error
  if (error) return <ProblemPanel error={error} />
  if (!after.data || (version > 1 && !before.data)) return <SkeletonRows rows={10} height={24} />
  if (!before.data) {
    return (
      <CodeEditor
        key={version}
        label={`Version ${version}`}
        language="yaml"
        text={after.data.source}
        className="flex-1"
      />
    )
  }
  return (
    <LineDiff
      label={`Changes from version ${version - 1} to version ${version}`}
      before={before.data.source}
      after={after.data.source}
    />
  )
}
