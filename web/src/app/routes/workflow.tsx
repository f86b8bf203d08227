import { useQuery } from '@tanstack/react-query'
import { Play } from 'lucide-react'
import { useState } from 'react'
import { useNavigate, useParams } from 'react-router'
import type { Workflow } from '@/api/generated/types.gen'
import { Moment } from '@/components/moment'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { TabNav } from '@/components/ui/tab-nav'
import { PermittedButton } from '@/features/access/permitted-button'
import { WorkflowHalts } from '@/features/control/halt-banner'
import { WorkflowControl } from '@/features/control/workflow-control'
import { RunsView } from '@/features/runs/runs-view'
import { workflowQuery } from '@/features/workflows/api'
import { DefinitionView } from '@/features/workflows/definition-view'
import { VersionsView } from '@/features/workflows/versions-view'
import { WorkflowEditor } from '@/features/workflows/workflow-editor'
import { plural } from '@/lib/format'
import { paths } from '@/lib/paths'
import { RunWorkflow } from '../run-workflow'
import NotFoundPage from './not-found'

export default function WorkflowPage() {
  const { project = '', workflowId = '', tab = 'definition' } = useParams()
  const [starting, setStarting] = useState(false)
  const found = useQuery(workflowQuery(workflowId))
  if (found.isPending) return <SkeletonRows rows={14} />
  if (!found.data) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  const workflow = found.data
  // One primary action a page: while it is edited, that is to save.
  const run = (
    <PermittedButton
      permission="run:create"
      variant={tab === 'edit' ? 'secondary' : 'primary'}
      onClick={() => setStarting(true)}
    >
      <Play aria-hidden />
      Run workflow
    </PermittedButton>
  )
  const to = (name: string) => `${paths.workflow(project, workflowId)}/${name}`
  return (
    <Page title={workflow.name}>
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader title={workflow.name} facts={<Facts workflow={workflow} />} actions={run} />
        <WorkflowHalts project={project} workflowId={workflow.id} />
        <TabNav
          label="Workflow"
          tabs={[
            { to: to('definition'), label: 'Definition' },
            { to: to('edit'), label: 'Edit' },
            { to: to('versions'), label: 'Versions', count: workflow.latest_version },
            { to: to('runs'), label: 'Runs' },
            { to: to('control'), label: 'Control' },
          ]}
        />
        <Tab key={workflow.id} tab={tab} workflow={workflow} start={run} definition={to('definition')} />
      </div>
      <RunWorkflow project={project} workflowId={workflow.id} open={starting} onOpenChange={setStarting} />
    </Page>
  )
}

function Facts({ workflow }: { workflow: Workflow }) {
  return (
    <>
      Version {workflow.latest_version}, {plural(workflow.steps_total, 'step')}, changed{' '}
      <Moment at={workflow.latest.created_at} />
      {workflow.description ? <span className="block max-w-3xl truncate">{workflow.description}</span> : null}
    </>
  )
}

type TabProps = { tab: string; workflow: Workflow; start: React.ReactNode; definition: string }

function Tab({ tab, workflow, start, definition }: TabProps) {
  const navigate = useNavigate()
  switch (tab) {
    case 'definition':
      return <DefinitionView workflow={workflow} />
    case 'edit':
      return <WorkflowEditor workflow={workflow} onSaved={() => void navigate(definition)} />
    case 'versions':
      return <VersionsView workflowId={workflow.id} latest={workflow.latest_version} />
    case 'runs':
      return (
        <div className="min-h-0 flex-1 overflow-y-auto">
          <RunsView
            project={workflow.project}
            filters={{ status: [], workflow: workflow.name, q: '' }}
            onFilters={() => void navigate(paths.runs(workflow.project))}
            start={start}
          />
        </div>
      )
    case 'control':
      return <WorkflowControl workflow={workflow} />
    default:
      return <NotFoundPage />
  }
}
