import { Plus } from 'lucide-react'
import { Link, useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { buttonClass } from '@/components/ui/button'
import { AgentList } from '@/features/agents/agent-list'
import { paths } from '@/lib/paths'

export default function AgentsPage() {
  const { project = '' } = useParams()
  const make = (
    <Link to={`${paths.agents(project)}/new`} className={buttonClass({ variant: 'primary' })}>
      <Plus aria-hidden />
      New agent
    </Link>
  )
  return (
    <Page title="Agents">
      <PageHeader title="Agents" actions={make} />
      <AgentList project={project} make={make} />
    </Page>
  )
}
