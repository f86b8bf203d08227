import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { Moment } from '@/components/moment'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { DecisionBody } from '@/features/policies/decision-detail'
import { decisionQuery } from '@/features/policies/decisions-api'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'

/** One decision by itself: that of a run that was refused stands on no page of a run. */
export default function DecisionPage() {
  const { project = '', decisionId = '' } = useParams()
  const found = useQuery(decisionQuery(decisionId))
  if (found.isPending) return <SkeletonRows rows={14} />
  if (!found.data) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  return (
    <Page title="Decision">
      <PageHeader
        within={{ to: paths.decisions(project), label: 'Decisions' }}
        title={shortId(decisionId)}
        facts={<Moment at={found.data.at} />}
      />
      <div className="max-w-3xl">
        <DecisionBody decision={found.data} scope={{ project }} />
      </div>
    </Page>
  )
}
