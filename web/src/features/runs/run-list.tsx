import type { RunSummary } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { isOver, runFace } from '@/components/faces'
import { Status } from '@/components/glyph'
import { Duration, Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { ScriptedMark } from '@/components/scripted-mark'
import { formatCount, shortId } from '@/lib/format'
import { paths } from '@/lib/paths'

type Shown = RunSummary & { waiting: boolean }

const COLUMNS: ReadonlyArray<Column<Shown>> = [
  {
    id: 'status',
    header: 'Status',
    width: '160px',
    cell: (run) => <Status face={runFace(run.status, run.waiting)} />,
  },
  {
    id: 'workflow',
    header: 'Workflow',
    cell: (run) => (
      <span className="flex items-center gap-2">
        <span className="truncate font-medium">{run.workflow.name}</span>
        <span className="text-ink-3">v{run.workflow.version}</span>
        {run.scripted ? <ScriptedMark /> : null}
      </span>
    ),
  },
  {
    id: 'id',
    header: 'Run',
    width: '100px',
    cell: (run) => <code className="font-mono text-dense">{shortId(run.id)}</code>,
  },
  {
    id: 'by',
    header: 'Started by',
    width: '140px',
    wideOnly: true,
    cell: (run) => run.created_by?.name ?? run.trigger,
  },
  { id: 'created', header: 'Created', width: '160px', cell: (run) => <Moment at={run.created_at} /> },
  {
    id: 'duration',
    header: 'Duration',
    width: '96px',
    align: 'end',
    cell: (run) => (
      <Duration from={run.started_at} to={isOver(run.status) ? (run.finished_at ?? run.started_at) : null} />
    ),
  },
  {
    id: 'steps',
    header: 'Steps',
    width: '72px',
    align: 'end',
    cell: (run) => run.steps_total.toLocaleString('en-US'),
  },
  {
    id: 'tokens',
    header: 'Tokens',
    width: '80px',
    align: 'end',
    wideOnly: true,
    cell: (run) => formatCount(run.tokens.input + run.tokens.output),
  },
  {
    id: 'cost',
    header: 'Cost',
    width: '96px',
    align: 'end',
    cell: (run) => <Money micros={run.cost_micros} />,
  },
]

type RunListProps = {
  project: string
  runs: readonly RunSummary[]
  /** The runs in which something waits for a person. */
  waiting: ReadonlySet<string>
}

export function RunList({ project, runs, waiting }: RunListProps) {
  return (
    <DataTable
      label="Runs"
      columns={COLUMNS}
      rows={runs.map((run) => ({ ...run, waiting: waiting.has(run.id) }))}
      keyOf={(run) => run.id}
      linkTo={(run) => paths.run(project, run.id)}
      linkLabel={(run) =>
        `${run.workflow.name}, run ${shortId(run.id)}, ${runFace(run.status, run.waiting).label}`
      }
    />
  )
}
