import { useQuery } from '@tanstack/react-query'
import type { Workflow } from '@/api/generated/types.gen'
import { haltsQuery, useLimitWorkflow } from './api'
import { LimitForm } from './limit-form'
import { SwitchRow } from './switch-row'

/** The pause of a workflow, and how many of its runs go on at once. */
export function WorkflowControl({ workflow }: { workflow: Workflow }) {
  const halts = useQuery(haltsQuery(workflow.project))
  const limit = useLimitWorkflow(workflow.id)
  const { id, name } = workflow
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <SwitchRow
        order={{ kind: 'pause', target: { scope: 'workflow', id, name } }}
        title="Pause the workflow"
        inForce={halts.data?.items.find((halt) => halt.workflow?.id === id)}
        action="Pause workflow"
      >
        Its runs pause: steps under way go on to their end, nothing new starts. New runs queue until it is
        released.
      </SwitchRow>
      <section aria-label="Limit" className="px-4 py-3">
        <LimitForm
          permission="workflow:write"
          key={String(workflow.max_running_runs)}
          limit={workflow.max_running_runs}
          saving={limit.isPending}
          error={limit.error}
          onSave={(value, done) => limit.mutate(value, { onSuccess: done })}
        />
      </section>
    </div>
  )
}
