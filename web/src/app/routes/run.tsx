import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { usePolling } from '@/api/use-live'
import { useSession } from '@/api/use-session'
import { isOver } from '@/components/faces'
import { ValuesRun } from '@/components/large'
import { Page } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { TabNav } from '@/components/ui/tab-nav'
import { openApprovalsQuery } from '@/features/approvals/api'
import { ApprovalBar } from '@/features/approvals/approval-bar'
import { WorkflowHalts } from '@/features/control/halt-banner'
import { artifactsQuery, runQuery, stepsQuery } from '@/features/runs/api'
import { callsQuery, MOST_CALLS } from '@/features/runs/calls-api'
import { RunHeader } from '@/features/runs/run-header'
import { RunSkeleton } from '@/features/runs/run-skeleton'
import { RunTab } from '@/features/runs/run-tab'
import { useRunLive } from '@/features/runs/use-run-live'
import { useSelection } from '@/features/runs/use-selection'
import { paths } from '@/lib/paths'

const POLL_MS = 3000

export default function RunPage() {
  const { project = '', runId = '', tab = 'timeline' } = useParams()
  const session = useSession()
  const polling = usePolling(POLL_MS)
  const run = useQuery({
    ...runQuery(runId),
    refetchInterval: ({ state }) => (state.data && isOver(state.data.status) ? false : polling),
  })
  const poll = run.data && isOver(run.data.status) ? false : polling
  const steps = useQuery({ ...stepsQuery(runId), refetchInterval: poll })
  const calls = useQuery({ ...callsQuery(runId), refetchInterval: poll })
  const artifacts = useQuery({ ...artifactsQuery(runId), refetchInterval: poll })
  const approvals = useQuery({ ...openApprovalsQuery(project), refetchInterval: poll })
  const [selection, select] = useSelection()
  useRunLive(run.data)

  if (run.isError && !run.data) return <ProblemPanel error={run.error} onRetry={() => void run.refetch()} />
  if (!run.data) return <RunSkeleton />
  const open = (approvals.data?.items ?? []).filter((one) => one.run_id === runId)
  const to = (name: string) => paths.run(project, runId, name)
  const messages = calls.data?.filter((call) => call.kind === 'llm').length
  return (
    <Page title={`${run.data.workflow.name} run`}>
      <ValuesRun.Provider value={runId}>
        <div className="absolute inset-0 flex flex-col bg-surface">
          <RunHeader run={run.data} waiting={open.length > 0} />
          {isOver(run.data.status) ? null : (
            <WorkflowHalts project={project} workflowId={run.data.workflow.id} />
          )}
          <ApprovalBar
            approvals={open}
            userId={session.phase === 'in' ? session.user.id : undefined}
            onShowStep={(stepId) => select({ stepId, callId: null, item: null })}
          />
          <TabNav
            label="Run"
            tabs={[
              { to: to('timeline'), label: 'Timeline', count: run.data.steps_total.toLocaleString('en-US') },
              { to: to('messages'), label: 'Messages', count: messages },
              { to: to('calls'), label: 'Calls', count: calls.data && countOf(calls.data.length) },
              { to: to('policy'), label: 'Policy' },
              { to: to('cost'), label: 'Cost' },
              { to: to('artifacts'), label: 'Artifacts', count: artifacts.data?.items.length },
              { to: to('io'), label: 'Input and output' },
              { to: to('events'), label: 'Events', count: run.data.last_seq.toLocaleString('en-US') },
            ]}
          />
          <RunTab
            tab={tab}
            run={run.data}
            steps={steps}
            calls={calls}
            selection={selection}
            onSelect={select}
            poll={poll}
          />
        </div>
      </ValuesRun.Provider>
    </Page>
  )
}

/** A list that is cut off has at least so many. */
const countOf = (calls: number): string => `${calls.toLocaleString('en-US')}${calls >= MOST_CALLS ? '+' : ''}`
