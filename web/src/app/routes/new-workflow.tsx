import { useNavigate, useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { NewWorkflow } from '@/features/workflows/new-workflow'
import { paths } from '@/lib/paths'

export default function NewWorkflowPage() {
  const { project = '' } = useParams()
  const navigate = useNavigate()
  return (
    <Page title="New workflow">
      <div className="absolute inset-0 flex flex-col">
        <PageHeader title="New workflow" />
        <NewWorkflow
          key={project}
          project={project}
          onCreated={(id) => void navigate(paths.workflow(project, id))}
        />
      </div>
    </Page>
  )
}
