import type { UseQueryResult } from '@tanstack/react-query'
import type { Call, Run, Step } from '@/api/generated/types.gen'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { DecisionsView } from '@/features/policies/decisions-view'
import { ArtifactsView } from './artifacts-view'
import { CallsView } from './calls-view'
import { CostsView } from './costs-view'
import { EventsView } from './events-view'
import { IoView } from './io-view'
import { Messages } from './messages'
import { StepInspector } from './step-inspector'
import { Timeline } from './timeline'
import type { Selection } from './use-selection'

type RunTabProps = {
  tab: string
  run: Run
  steps: UseQueryResult<Step[]>
  calls: UseQueryResult<Call[]>
  selection: Selection | null
  onSelect: (selection: Selection | null) => void
  poll: number | false
}

/** What the chosen tab shows, with the selected step beside the timeline and the calls. */
export function RunTab({ tab, run, steps, calls, selection, onSelect, poll }: RunTabProps) {
  const failed = [steps, calls].find((query) => query.isError && !query.data)
  if (failed) return <ProblemPanel error={failed.error} onRetry={() => void failed.refetch()} />
  if (!steps.data || !calls.data) return <SkeletonRows rows={20} height={26} />
  switch (tab) {
    case 'timeline':
      return (
        <Beside run={run} steps={steps.data} calls={calls.data} selection={selection} onSelect={onSelect}>
          <Timeline
            run={run}
            steps={steps.data}
            calls={calls.data}
            selection={selection}
            onSelect={onSelect}
          />
        </Beside>
      )
    case 'calls':
      return (
        <Beside run={run} steps={steps.data} calls={calls.data} selection={selection} onSelect={onSelect}>
          <CallsView
            calls={calls.data}
            selectedId={selection?.callId ?? null}
            onSelect={(call) => onSelect({ stepId: call.step_id, callId: call.id, item: null })}
          />
        </Beside>
      )
    case 'policy':
      return (
        <DecisionsView
          scope={{ project: run.project, run: run.id }}
          opens="beside"
          poll={poll}
          nothing="No call of this run has been judged yet."
        />
      )
    case 'messages':
      return <Messages calls={calls.data} />
    case 'cost':
      return <CostsView run={run} />
    case 'artifacts':
      return <ArtifactsView runId={run.id} />
    case 'io':
      return <IoView run={run} />
    case 'events':
      return <EventsView runId={run.id} steps={steps.data} poll={poll} />
    default:
      return <Empty title="There is no such tab" />
  }
}

type BesideProps = {
  run: Run
  steps: readonly Step[]
  calls: readonly Call[]
  selection: Selection | null
  onSelect: (selection: Selection | null) => void
  children: React.ReactNode
}

function Beside({ run, steps, calls, selection, onSelect, children }: BesideProps) {
  return (
    <div className="relative flex min-h-0 flex-1">
      {children}
      {selection ? (
        <StepInspector
          key={selection.stepId}
          run={run}
          listed={steps.find((one) => one.id === selection.stepId)}
          steps={steps}
          calls={calls}
          selection={selection}
          onSelect={onSelect}
        />
      ) : null}
    </div>
  )
}
