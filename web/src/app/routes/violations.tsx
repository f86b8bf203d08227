import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { ViolationsView } from '@/features/policies/violations-view'

export default function ViolationsPage() {
  const { project = '' } = useParams()
  return (
    <Page title="Violations">
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          title="Violations"
          facts="What rules denied, or would have denied while they only monitor"
        />
        <ViolationsView key={project} project={project} />
      </div>
    </Page>
  )
}
