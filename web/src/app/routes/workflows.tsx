import { Plus } from 'lucide-react'
import { Link, useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { buttonClass } from '@/components/ui/button'
import { WorkflowList } from '@/features/workflows/workflow-list'
import { paths } from '@/lib/paths'

export default function WorkflowsPage() {
  const { project = '' } = useParams()
  const make = (
    <Link to={`${paths.workflows(project)}/new`} className={buttonClass({ variant: 'primary' })}>
      <Plus aria-hidden />
      New workflow
    </Link>
  )
  return (
    <Page title="Workflows">
      <PageHeader title="Workflows" actions={make} />
      <WorkflowList project={project} make={make} />
    </Page>
  )
}
