import { useQuery } from '@tanstack/react-query'
import type { Halt } from '@/api/generated/types.gen'
import { useSession } from '@/api/use-session'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { Section } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Undelivered } from '@/features/outbox/undelivered'
import { haltsQuery, projectQuery, releasedQuery, useLimitProject } from './api'
import { HaltBar } from './halt-banner'
import { haltTarget } from './halt-words'
import { LimitForm } from './limit-form'
import { SwitchRow } from './switch-row'

/** What may run in a project: the switches that hold it, its limit, and what was held before. */
export function ControlView({ project }: { project: string }) {
  const session = useSession()
  const halts = useQuery(haltsQuery(project))
  const released = useQuery(releasedQuery(project))
  if (halts.isError && !halts.data) {
    return <ProblemPanel error={halts.error} onRetry={() => void halts.refetch()} />
  }
  if (!halts.data) return <SkeletonRows rows={8} height={48} />
  const inForce = halts.data.items
  const find = (kind: Halt['kind'], scope: Halt['scope']) =>
    inForce.find((halt) => halt.kind === kind && halt.scope === scope)
  const admin = session.phase === 'in' && session.user.is_admin
  const workflows = inForce.filter((halt) => halt.scope === 'workflow')
  return (
    <>
      {workflows.length > 0 ? (
        <Section title="Paused workflows">
          {workflows.map((halt) => (
            <HaltBar key={halt.id} halt={halt} />
          ))}
        </Section>
      ) : null}
      <Section title="Switches">
        <SwitchRow
          order={{ kind: 'pause', target: { scope: 'project', project } }}
          title="Pause the project"
          inForce={find('pause', 'project')}
          action="Pause project"
        >
          Nothing new starts. What runs goes on to its end, with its calls. For maintenance, or to look
          something over in peace.
        </SwitchRow>
        <SwitchRow
          order={{ kind: 'stop', target: { scope: 'project', project } }}
          title="Kill switch of the project"
          inForce={find('stop', 'project')}
          action="Stop project"
        >
          Nothing new starts, and no further model or tool call leaves, at once. For when something does what
          it must not do.
        </SwitchRow>
        <SwitchRow
          order={{ kind: 'pause', target: { scope: 'installation' } }}
          title="Pause the installation"
          inForce={find('pause', 'installation')}
          forbidden={admin ? null : 'For administrators'}
          action="Pause everything"
        >
          Nothing new starts in any project; what runs goes on. For maintenance of the platform itself.
        </SwitchRow>
        <SwitchRow
          order={{ kind: 'stop', target: { scope: 'installation' } }}
          title="Kill switch of the installation"
          inForce={find('stop', 'installation')}
          forbidden={admin ? null : 'For administrators'}
          action="Stop everything"
        >
          No project starts anything or sends a further call until it is released.
        </SwitchRow>
      </Section>
      <Section title="Limit">
        <div className="px-4 py-3">
          <ProjectLimit project={project} />
        </div>
      </Section>
      <Section title="Released">
        {released.data && released.data.items.length > 0 ? (
          <DataTable
            label="Released"
            columns={COLUMNS}
            rows={released.data.items}
            keyOf={(halt) => halt.id}
          />
        ) : (
          <p className="px-4 py-3 text-ink-2">
            {released.isPending ? '' : 'Nothing has been paused or stopped here before.'}
          </p>
        )}
      </Section>
      {admin ? (
        <Section title="Undelivered events, of the whole installation">
          <Undelivered />
        </Section>
      ) : null}
    </>
  )
}

function ProjectLimit({ project }: { project: string }) {
  const found = useQuery(projectQuery(project))
  const limit = useLimitProject(project)
  if (found.isError) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  if (!found.data) return null
  return (
    <LimitForm
      permission="project:update"
      key={String(found.data.max_running_runs)}
      limit={found.data.max_running_runs}
      saving={limit.isPending}
      error={limit.error}
      onSave={(value, done) => limit.mutate(value, { onSuccess: done })}
    />
  )
}

const COLUMNS: ReadonlyArray<Column<Halt>> = [
  {
    id: 'what',
    header: 'What',
    width: '30%',
    cell: (halt) => (
      <>
        <span className="font-medium">{haltTarget(halt)}</span>{' '}
        <span className="text-ink-3">{halt.kind === 'stop' ? 'stopped' : 'paused'}</span>
      </>
    ),
  },
  { id: 'why', header: 'Reason', cell: (halt) => <span title={halt.reason ?? ''}>{halt.reason}</span> },
  {
    id: 'from',
    header: 'Ordered',
    width: '220px',
    cell: (halt) => (
      <>
        <Moment at={halt.ordered_at} /> <span className="text-ink-3">by {halt.ordered_by?.name}</span>
      </>
    ),
  },
  {
    id: 'to',
    header: 'Released',
    width: '220px',
    cell: (halt) => (
      <>
        {halt.released_at ? <Moment at={halt.released_at} /> : null}{' '}
        <span className="text-ink-3">by {halt.released_by?.name}</span>
      </>
    ),
  },
]
