import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useNavigate } from 'react-router'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { buttonClass } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { RunForm } from '@/features/runs/run-form'
import { workflowQuery, workflowsQuery } from '@/features/workflows/api'
import { paths } from '@/lib/paths'

type RunWorkflowProps = {
  project: string
  /** Which workflow to run; without it the dialog asks. */
  workflowId?: string | undefined
  open: boolean
  onOpenChange: (open: boolean) => void
}

/** The Run dialog: which workflow, its input, start; then to the run's page. */
export function RunWorkflow(props: RunWorkflowProps) {
  return (
    <Dialog open={props.open} onOpenChange={props.onOpenChange} title="Run workflow">
      <Content {...props} />
    </Dialog>
  )
}

function Content({ project, workflowId, onOpenChange }: RunWorkflowProps) {
  const [chosen, setChosen] = useState<string | null>(null)
  const navigate = useNavigate()
  const workflows = useQuery({ ...workflowsQuery(project), enabled: workflowId === undefined })
  const id = workflowId ?? chosen ?? workflows.data?.items[0]?.id
  const workflow = useQuery({ ...workflowQuery(id ?? ''), enabled: id !== undefined })
  const error = workflows.error ?? workflow.error
  if (error) return <ProblemPanel error={error} />
  if (workflows.data?.items.length === 0) return <NoWorkflows project={project} />
  if (!workflow.data) return <SkeletonRows rows={3} height={40} />
  return (
    <RunForm
      key={workflow.data.id}
      workflow={workflow.data}
      heading={
        workflowId ? (
          <p>
            <b className="font-semibold">{workflow.data.name}</b>, version {workflow.data.latest.version}
          </p>
        ) : (
          <Field label="Workflow" hint={workflow.data.description}>
            {(wiring) => (
              <Select {...wiring} value={id} onChange={(event) => setChosen(event.target.value)}>
                {workflows.data?.items.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.name}
                  </option>
                ))}
              </Select>
            )}
          </Field>
        )
      }
      onClose={() => onOpenChange(false)}
      onStarted={(run) => {
        onOpenChange(false)
        toast('Run started')
        void navigate(paths.run(project, run.id))
      }}
    />
  )
}

function NoWorkflows({ project }: { project: string }) {
  return (
    <Empty
      title="No workflows yet"
      action={
        <Link to={paths.workflows(project)} className={buttonClass({})}>
          Go to workflows
        </Link>
      }
    >
      There is nothing to run until this project has a workflow.
    </Empty>
  )
}
