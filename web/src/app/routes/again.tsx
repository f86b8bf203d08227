import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearchParams } from 'react-router'
import { isOver, RUN_FACE } from '@/components/faces'
import { Status } from '@/components/glyph'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { TabNav } from '@/components/ui/tab-nav'
import { toast } from '@/components/ui/toast'
import { AgainView } from '@/features/reruns/again-view'
import { runQuery } from '@/features/runs/api'
import { workflowQuery } from '@/features/workflows/api'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'

const KINDS = ['retry', 'fork', 'rerun'] as const
type Kind = (typeof KINDS)[number]
const isKind = (text: string): text is Kind => KINDS.some((kind) => kind === text)

const WORDS = {
  retry: 'Do again what failed or was cancelled, and what depends on it. The rest is kept.',
  fork: 'Keep what stands before one step, and do it and all behind it again.',
  rerun: 'Do everything again.',
} satisfies Record<Kind, string>
const DONE = { retry: 'Run retried', fork: 'Run forked', rerun: 'Run started again' } satisfies Record<
  Kind,
  string
>

export default function AgainPage() {
  const { project = '', runId = '', kind = '' } = useParams()
  const [search] = useSearchParams()
  const navigate = useNavigate()
  const run = useQuery(runQuery(runId))
  const workflow = useQuery({
    ...workflowQuery(run.data?.workflow.id ?? ''),
    enabled: run.data !== undefined,
  })
  const error = run.error ?? workflow.error
  if (error) return <ProblemPanel error={error} />
  if (!run.data || !workflow.data) return <SkeletonRows rows={12} />
  if (!isKind(kind)) return <Empty title="There is no such way to run it again" />
  const to = (one: Kind) => paths.again(project, runId, one)
  const over = isOver(run.data.status)
  return (
    <Page title={`${run.data.workflow.name} again`}>
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          title={
            <span className="flex flex-wrap items-center gap-x-2">
              Run {run.data.workflow.name} again
              <code className="font-mono text-body font-normal text-ink-3">{shortId(runId)}</code>
            </span>
          }
          facts={
            <span className="flex flex-wrap items-center gap-x-3">
              <Status face={RUN_FACE[run.data.status]} />
              {WORDS[kind]} The new run is another one; this one stays as it is.
            </span>
          }
        />
        <TabNav
          label="How"
          tabs={[
            { to: to('retry'), label: 'Retry what failed' },
            { to: to('fork'), label: 'Fork from a step' },
            { to: to('rerun'), label: 'Run everything again' },
          ]}
        />
        {kind !== 'fork' && !over ? (
          <Empty title="This run has not ended">
            A run can be retried or run again once it has ended. A fork can be made at any time.
          </Empty>
        ) : (
          <AgainView
            key={kind}
            run={run.data}
            kind={kind}
            from={search.get('from')}
            latest={workflow.data.latest_version}
            onFrom={(step) => void navigate(paths.again(project, runId, 'fork', step), { replace: true })}
            onStarted={(made) => {
              toast(DONE[kind])
              void navigate(paths.run(project, made.id))
            }}
          />
        )}
      </div>
    </Page>
  )
}
