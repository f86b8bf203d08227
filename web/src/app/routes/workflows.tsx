import { Plus } from 'lucide-react'
import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { PermittedLink } from '@/features/access/permitted-button'
import { WorkflowList } from '@/features/workflows/workflow-list'
import { paths } from '@/lib/paths'

export default function WorkflowsPage() {
  const { project = '' } = useParams()
  const make = (
    <PermittedLink permission="workflow:write" to={`${paths.workflows(project)}/new`} variant="primary">
      <Plus aria-hidden />
      New workflow
    </PermittedLink>
  )
  return (
    <Page title="Workflows">
      <PageHeader title="Workflows" actions={make} />
      <WorkflowList project={project} make={make} />
    </Page>
  )
}
