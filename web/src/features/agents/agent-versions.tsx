import { useInfiniteQuery } from '@tanstack/react-query'
import { useSearchParams } from 'react-router'
import type { AgentVersion } from '@/api/generated/types.gen'
import { CodeEditor } from '@/components/code/code-editor'
import { LineDiff } from '@/components/code/line-diff'
import { VersionList } from '@/components/code/version-list'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { agentVersionsQuery } from './api'
import { definitionText } from './definition-text'

/** Every version of an agent, and what each of them changed. The chosen one is in the address. */
export function AgentVersions({ agentId, latest }: { agentId: string; latest: number }) {
  const [search] = useSearchParams()
  const found = useInfiniteQuery(agentVersionsQuery(agentId))
  const chosen = Number(search.get('version')) || latest
  if (found.isPending) return <SkeletonRows rows={6} height={40} />
  if (!found.data) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  const versions = found.data.pages.flatMap((page) => page.items)
  return (
    <div className="flex min-h-0 flex-1">
      <div className="w-[240px] shrink-0 overflow-y-auto border-r border-line">
        <VersionList versions={versions} chosen={chosen} />
        {found.hasNextPage ? (
          <Button className="m-3" onClick={() => void found.fetchNextPage()}>
            Load more
          </Button>
        ) : null}
      </div>
      <div className="flex min-w-0 flex-1 flex-col overflow-y-auto">
        <Change versions={versions} chosen={chosen} />
      </div>
    </div>
  )
}

function Change({ versions, chosen }: { versions: readonly AgentVersion[]; chosen: number }) {
  const after = versions.find((one) => one.version === chosen)
  const before = versions.find((one) => one.version === chosen - 1)
  if (!after) return <p className="p-4 text-ink-2">Version {chosen} is not among those listed.</p>
  const text = definitionText(after.definition)
  if (!before) {
    return (
      <CodeEditor key={chosen} label={`Version ${chosen}`} language="yaml" text={text} className="flex-1" />
    )
  }
  const label = `Changes from version ${before.version} to version ${after.version}`
  return <LineDiff label={label} before={definitionText(before.definition)} after={text} />
}
