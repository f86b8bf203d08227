import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { InboxView } from '@/features/approvals/inbox-view'

export default function ApprovalsPage() {
  const { project = '' } = useParams()
  return (
    <Page title="Approvals">
      <div className="absolute inset-0 flex flex-col">
        <PageHeader title="Approvals" facts="Questions that a person has to answer before a run goes on" />
        <InboxView key={project} project={project} />
      </div>
    </Page>
  )
}
