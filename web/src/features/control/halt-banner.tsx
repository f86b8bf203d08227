import { useQuery } from '@tanstack/react-query'
import { OctagonX, Pause } from 'lucide-react'
import { useState } from 'react'
import { Link } from 'react-router'
import type { Halt } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { useSession } from '@/api/use-session'
import { Moment } from '@/components/moment'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { cn } from '@/lib/cn'
import { paths } from '@/lib/paths'
import { haltsQuery, useReleaseHalt } from './api'
import { haltTarget } from './halt-words'

const POLL_MS = 5000

/** On every page of a project: what holds all of it back. */
export function ProjectHalts({ project }: { project: string }) {
  const halts = useQuery({ ...haltsQuery(project), refetchInterval: POLL_MS })
  const shown = halts.data?.items.filter((halt) => halt.scope !== 'workflow') ?? []
  return (
    <div role="status" aria-label="What is held">
      {shown.map((halt) => (
        <HaltBar key={halt.id} halt={halt} />
      ))}
    </div>
  )
}

/** On the pages of a workflow and of its runs: the pause of the workflow. */
export function WorkflowHalts({ project, workflowId }: { project: string; workflowId: string }) {
  const halts = useQuery({ ...haltsQuery(project), refetchInterval: POLL_MS })
  return halts.data?.items
    .filter((halt) => halt.workflow?.id === workflowId)
    .map((halt) => <HaltBar key={halt.id} halt={halt} />)
}

/** One halt in a line: what is held, by whom and why, and its release; the stop of a deletion ends with that alone. */
export function HaltBar({ halt }: { halt: Halt }) {
  const session = useSession()
  const release = useReleaseHalt()
  const stop = halt.kind === 'stop'
  const mayRelease = halt.scope !== 'installation' || (session.phase === 'in' && session.user.is_admin)
  const [asking, setAsking] = useState(false)
  const act = () =>
    release.mutate(halt.id, {
      onSuccess: () => {
        setAsking(false)
        toast('Released: work goes on')
      },
      onError: (error) => toast(asProblem(error).detail, { bad: true }),
    })
  const Icon = stop ? OctagonX : Pause
  return (
    <section
      aria-label={`${haltTarget(halt)} is ${stop ? 'stopped' : 'paused'}`}
      className={cn(
        'flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line border-l-[3px] px-4 py-1.5',
        stop ? 'border-l-st-failed bg-surface' : 'border-l-ink bg-raised',
      )}
    >
      <span className={cn('flex items-center gap-1.5 font-semibold', stop && 'text-tx-failed')}>
        <Icon aria-hidden className="size-3.5" />
        {haltTarget(halt)} is {stop ? 'stopped' : 'paused'}
      </span>
      <span className="min-w-0 flex-1 text-ink-2">
        {halt.reason ? <q>{halt.reason}</q> : null} {halt.ordered_by?.name ?? 'Somebody'},{' '}
        <Moment at={halt.ordered_at} />. {stop ? 'No call leaves, nothing starts.' : 'Nothing new starts.'}
      </span>
      {halt.kept_by_deletion ? (
        <Link to={paths.settings(halt.project ?? '')} className="text-ink-2 underline">
          It is to be deleted
        </Link>
      ) : mayRelease ? (
        <PermittedButton
          permission="halt:order"
          size="sm"
          disabled={release.isPending}
          onClick={stop ? () => setAsking(true) : act}
        >
          Release
        </PermittedButton>
      ) : (
        <span className="text-dense text-ink-3">An administrator can release it.</span>
      )}
      <Dialog open={asking} onOpenChange={setAsking} title="Release the stop?">
        <DialogBody>
          <p>
            What it held goes on at once: queued runs start, steps are attempted, and calls leave again. Make
            sure that its reason is dealt with{halt.reason ? ': ' : '.'}
            {halt.reason ? <q>{halt.reason}</q> : null}
          </p>
        </DialogBody>
        <DialogActions>
          <Button onClick={() => setAsking(false)}>Keep it stopped</Button>
          <Button variant="primary" disabled={release.isPending} onClick={act}>
            Release now
          </Button>
        </DialogActions>
      </Dialog>
    </section>
  )
}
