import { useQuery } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import type { Deletion, Project } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
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
          mayChange={found.data.role === 'owner' || found.data.role === 'admin'}
        />
      </Section>
      <Section title="Delete the project">
        {open ? (
          <ToBeDeleted project={found.data} deletion={open} />
        ) : (
          <NotDeleted project={found.data} delaySeconds={deletion.data.delay_seconds} />
        )}
      </Section>
    </>
  )
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h2 className="border-b border-line bg-bg px-4 py-1.5 text-dense font-medium text-ink-2">{title}</h2>
      <div className="border-b border-line px-4 py-3">{children}</div>
    </section>
  )
}

function NotDeleted({ project, delaySeconds }: { project: Project; delaySeconds: number }) {
  const [open, setOpen] = useState(false)
  return (
    <div className="flex flex-wrap items-start gap-x-8 gap-y-2">
      <p className="min-w-0 max-w-2xl flex-1 text-ink-2">
        The project is stopped at once, and its data is removed everywhere {delayWords(delaySeconds)}. Until
        then it can be taken back.
      </p>
      {project.role === 'owner' ? (
        <Button variant="danger" onClick={() => setOpen(true)}>
          Delete project
        </Button>
      ) : (
        <span className="text-ink-3">Only an owner deletes a project.</span>
      )}
      <DeleteDialog project={project.slug} delaySeconds={delaySeconds} open={open} onOpenChange={setOpen} />
    </div>
  )
}

function ToBeDeleted({ project, deletion }: { project: Project; deletion: Deletion }) {
  const cancel = useCancelDeletion(project.slug)
  const act = () =>
    cancel.mutate(undefined, {
      onSuccess: () => toast('Taken back: the project stays'),
      onError: (error) => toast(asProblem(error).detail, { bad: true }),
    })
  return (
    <div className="flex flex-wrap items-start gap-x-8 gap-y-2">
      <p className="min-w-0 max-w-2xl flex-1">
        <span className="font-semibold text-tx-failed">
          All data is removed <Moment at={deletion.due_at} />.
        </span>{' '}
        {deletion.asked_by.name} asked for it <Moment at={deletion.asked_at} />: <q>{deletion.reason}</q>
      </p>
      {project.role === 'owner' ? (
        <Button variant="primary" disabled={cancel.isPending} onClick={act}>
          Keep the project
        </Button>
      ) : (
        <span className="text-ink-3">An owner can take it back.</span>
      )}
    </div>
  )
}
