import { useNavigate, useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { NewAgent } from '@/features/agents/new-agent'
import { paths } from '@/lib/paths'

export default function NewAgentPage() {
  const { project = '' } = useParams()
  const navigate = useNavigate()
  return (
    <Page title="New agent">
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader title="New agent" />
        <NewAgent
          key={project}
          project={project}
          onCreated={(id) => void navigate(paths.agent(project, id))}
        />
      </div>
    </Page>
  )
}
