import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { toolQuery } from '@/features/tools/api'
import { ToolView } from '@/features/tools/tool-view'

export default function ToolPage() {
  const { toolId = '' } = useParams()
  const found = useQuery(toolQuery(toolId))
  if (found.isPending) return <SkeletonRows rows={10} />
  if (!found.data) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  return (
    <Page title={found.data.name}>
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader title={found.data.name} facts="Tool" />
        <ToolView tool={found.data} />
      </div>
    </Page>
  )
}
