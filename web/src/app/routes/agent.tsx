import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from 'react-router'
import type { Agent } from '@/api/generated/types.gen'
import { Moment } from '@/components/moment'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { ScriptedMark } from '@/components/scripted-mark'
import { SkeletonRows } from '@/components/states'
import { TabNav } from '@/components/ui/tab-nav'
import { AgentDefinitionView } from '@/features/agents/agent-definition'
import { AgentEditor } from '@/features/agents/agent-editor'
import { isScripted } from '@/features/agents/agent-facts'
import { AgentVersions } from '@/features/agents/agent-versions'
import { agentQuery } from '@/features/agents/api'
import { paths } from '@/lib/paths'
import NotFoundPage from './not-found'

export default function AgentPage() {
  const { project = '', agentId = '', tab = 'definition' } = useParams()
  const found = useQuery(agentQuery(agentId))
  if (found.isPending) return <SkeletonRows rows={14} />
  if (!found.data) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  const agent = found.data
  const to = (name: string) => `${paths.agent(project, agentId)}/${name}`
  return (
    <Page title={agent.name}>
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader title={agent.name} facts={<Facts agent={agent} />} />
        <TabNav
          label="Agent"
          tabs={[
            { to: to('definition'), label: 'Definition' },
            { to: to('edit'), label: 'New version' },
            { to: to('versions'), label: 'Versions', count: agent.latest.version },
          ]}
        />
        <Tab key={agent.id} tab={tab} agent={agent} definition={to('definition')} />
      </div>
    </Page>
  )
}

function Facts({ agent }: { agent: Agent }) {
  return (
    <span className="flex items-center gap-2">
      <span>
        Version {agent.latest.version}, changed <Moment at={agent.latest.created_at} />
      </span>
      {isScripted(agent.latest.definition) ? <ScriptedMark /> : null}
    </span>
  )
}

function Tab({ tab, agent, definition }: { tab: string; agent: Agent; definition: string }) {
  const navigate = useNavigate()
  switch (tab) {
    case 'definition':
      return <AgentDefinitionView agent={agent} />
    case 'edit':
      return <AgentEditor agent={agent} onSaved={() => void navigate(definition)} />
    case 'versions':
      return <AgentVersions agentId={agent.id} latest={agent.latest.version} />
    default:
      return <NotFoundPage />
  }
}
