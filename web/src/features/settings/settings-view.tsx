import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Deletion } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { Moment } from '@/components/moment'
import { ActRow, Section } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { projectQuery } from '@/features/control/api'
import { deletionQuery, useCancelDeletion } from './api'
import { delayWords } from './days'
import { DeleteDialog } from './delete-dialog'
import { KeepForm } from './keep-form'

/** What a project keeps for how long, and last its end. */
export function SettingsView({ project }: { project: string }) {
  const found = useQuery(projectQuery(project))
  const deletion = useQuery(deletionQuery(project))
  if (found.isError) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  if (deletion.isError) return <ProblemPanel error={deletion.error} onRetry={() => void deletion.refetch()} />
  if (!found.data || !deletion.data) return <SkeletonRows rows={6} height={48} />
  const open = deletion.data.deletion?.status === 'asked' ? deletion.data.deletion : null
  return (
    <>
      <Section title="How long what has ended is kept">
        <KeepForm
          key={[found.data.keep_runs_days, found.data.keep_log_days, found.data.keep_values_days].join()}
          project={found.data}
        />
      </Section>
      <Section title="Delete the project">
        {open ? (
          <ToBeDeleted project={project} deletion={open} />
        ) : (
          <NotDeleted project={project} delaySeconds={deletion.data.delay_seconds} />
        )}
      </Section>
    </>
  )
}

function NotDeleted({ project, delaySeconds }: { project: string; delaySeconds: number }) {
  const [open, setOpen] = useState(false)
  const act = (
    <PermittedButton permission="project:delete" variant="danger" onClick={() => setOpen(true)}>
      Delete project
    </PermittedButton>
  )
  return (
    <>
      <ActRow act={act}>
        The project is stopped at once, and its data is removed everywhere {delayWords(delaySeconds)}. Until
        then it can be taken back.
      </ActRow>
      <DeleteDialog project={project} delaySeconds={delaySeconds} open={open} onOpenChange={setOpen} />
    </>
  )
}

function ToBeDeleted({ project, deletion }: { project: string; deletion: Deletion }) {
  const cancel = useCancelDeletion(project)
  const keep = () =>
    cancel.mutate(undefined, {
      onSuccess: () => toast('Taken back: the project stays'),
      onError: (error) => toast(asProblem(error).detail, { bad: true }),
    })
  const act = (
    <PermittedButton permission="project:delete" variant="primary" disabled={cancel.isPending} onClick={keep}>
      Keep the project
    </PermittedButton>
  )
  return (
    <ActRow act={act}>
      <span className="font-semibold text-tx-failed">
        All data is removed <Moment at={deletion.due_at} />.
      </span>{' '}
      {deletion.asked_by.name} asked for it <Moment at={deletion.asked_at} />: <q>{deletion.reason}</q>
    </ActRow>
  )
}
