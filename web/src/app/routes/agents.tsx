import { Plus } from 'lucide-react'
import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { PermittedLink } from '@/features/access/permitted-button'
import { AgentList } from '@/features/agents/agent-list'
import { paths } from '@/lib/paths'

export default function AgentsPage() {
  const { project = '' } = useParams()
  const make = (
    <PermittedLink permission="agent:write" to={`${paths.agents(project)}/new`} variant="primary">
      <Plus aria-hidden />
      New agent
    </PermittedLink>
  )
  return (
    <Page title="Agents">
      <PageHeader title="Agents" actions={make} />
      <AgentList project={project} make={make} />
    </Page>
  )
}
