import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import type { CostLine, Run, RunBudgetUse, RunCosts } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { isOver } from '@/components/faces'
import { Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { costsQuery } from '@/features/budgets/api'
import { FillBar } from '@/features/budgets/fill-bar'
import { PERIODS } from '@/features/budgets/words'
import { formatClock, formatCount, formatMoney } from '@/lib/format'
import { paths } from '@/lib/paths'

const POLL_MS = 3000
const WIDTH = 720
const HEIGHT = 120
const LEFT = 64

const tokens = (count: number) => (count === 0 ? '' : formatCount(count))

const LINES: ReadonlyArray<Column<CostLine>> = [
  {
    id: 'step',
    header: 'Step',
    width: '22%',
    cell: (line) => (
      <>
        {line.step_key}{' '}
        <span className="text-ink-3">{line.agent ? `agent ${line.agent}` : line.step_type}</span>
      </>
    ),
  },
  {
    id: 'name',
    header: 'Model or tool',
    cell: (line) => (
      <>
        {line.name} <span className="text-ink-3">{line.kind === 'llm' ? 'model' : 'tool'}</span>
      </>
    ),
  },
  { id: 'calls', header: 'Calls', width: '64px', align: 'end', cell: (line) => line.calls },
  { id: 'in', header: 'Tokens in', width: '88px', align: 'end', cell: (line) => tokens(line.input_tokens) },
  {
    id: 'cached',
    header: 'of it cached',
    width: '92px',
    align: 'end',
    cell: (line) => tokens(line.cached_tokens),
  },
  {
    id: 'out',
    header: 'Tokens out',
    width: '88px',
    align: 'end',
    cell: (line) => tokens(line.output_tokens),
  },
  {
    id: 'reasoning',
    header: 'of it reasoning',
    width: '108px',
    align: 'end',
    cell: (line) => tokens(line.reasoning_tokens),
  },
  {
    id: 'cost',
    header: 'Cost',
    width: '96px',
    align: 'end',
    cell: (line) => <Money micros={line.cost_micros} />,
  },
]

const budgetColumns = (project: string): ReadonlyArray<Column<RunBudgetUse>> => [
  {
    id: 'name',
    header: 'Budget',
    width: '22%',
    cell: (one) =>
      one.budget_id ? (
        <Link to={paths.budget(project, one.budget_id)} className="underline">
          {one.name}
        </Link>
      ) : (
        one.name
      ),
  },
  { id: 'period', header: 'Period', width: '88px', cell: (one) => PERIODS[one.period] },
  {
    id: 'fill',
    header: 'Spent and held',
    cell: (one) =>
      one.limit_micros === null ? (
        <Money micros={one.spent_micros} />
      ) : (
        <span className="flex items-center gap-2">
          <FillBar
            fill={{ kind: 'money', limit: one.limit_micros, used: one.spent_micros, held: one.held_micros }}
            className="min-w-16 flex-1"
          />
          <span className="w-40 tabular-nums">
            {formatMoney(one.spent_micros + one.held_micros)}{' '}
            <span className="text-ink-3">of {formatMoney(one.limit_micros)}</span>
          </span>
        </span>
      ),
  },
  {
    id: 'ends',
    header: 'Resets',
    width: '160px',
    cell: (one) => (one.ends_at ? <Moment at={one.ends_at} /> : ''),
  },
  {
    id: 'own',
    header: 'By this run',
    width: '96px',
    align: 'end',
    cell: (one) => <Money micros={one.by_this_run_micros} />,
  },
]

/** What a run has cost, on which models and tools, and what it counts against. */
export function CostsView({ run }: { run: Run }) {
  const costs = useQuery({
    ...costsQuery(run.id, run.status),
    refetchInterval: isOver(run.status) ? false : POLL_MS,
  })
  if (costs.isError && !costs.data) {
    return <ProblemPanel error={costs.error} onRetry={() => void costs.refetch()} />
  }
  if (!costs.data) return <SkeletonRows rows={8} />
  const { lines, budgets } = costs.data
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      <Sums costs={costs.data} />
      <Line costs={costs.data} />
      <Section title="Where it went">
        {lines.length === 0 ? (
          <p className="px-4 py-1 text-ink-2">This run has made no calls yet.</p>
        ) : (
          <DataTable
            label="Costs by step"
            columns={LINES}
            rows={lines}
            keyOf={(line) => `${line.step_key} ${line.agent} ${line.kind} ${line.name}`}
          />
        )}
      </Section>
      <Section title="What it counts against">
        <DataTable
          label="Budgets of this run"
          columns={budgetColumns(run.project)}
          rows={budgets}
          keyOf={(one) => `${one.budget_id} ${one.name}`}
        />
      </Section>
    </div>
  )
}

function Section({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section aria-label={title} className="pb-3">
      <h2 className="px-4 pt-4 pb-1 text-section font-semibold">{title}</h2>
      {children}
    </section>
  )
}

function Sums({ costs }: { costs: RunCosts }) {
  return (
    <div className="flex flex-wrap items-baseline gap-x-6 px-4 pt-4">
      <span className="text-total font-semibold tabular-nums">
        {formatMoney(costs.cost_micros + costs.below_micros)}
      </span>
      {costs.below_micros > 0 ? (
        <span className="text-ink-2">
          <Money micros={costs.below_micros} /> of it by sub-workflows
        </span>
      ) : null}
      {costs.presumed_micros > 0 ? (
        <span className="text-ink-2">
          <Money micros={costs.presumed_micros} /> of it presumed: the answer was lost, so what was held is
          charged
        </span>
      ) : null}
    </div>
  )
}

/** What the calls had cost, over time. */
function Line({ costs }: { costs: RunCosts }) {
  const { points } = costs
  const [first] = points
  const last = points[points.length - 1]
  if (first === undefined || last === undefined || points.length < 2) return null
  const since = Date.parse(first.at)
  const span = Math.max(Date.parse(last.at) - since, 1)
  const x = (at: string) => LEFT + ((Date.parse(at) - since) / span) * (WIDTH - LEFT - 8)
  const y = (micros: number) => 8 + (1 - micros / last.micros) * (HEIGHT - 32)
  const stairs = points.map((one, place) =>
    place === 0 ? `M${x(one.at)},${y(one.micros)}` : `H${x(one.at)}V${y(one.micros)}`,
  )
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`${formatMoney(last.micros)} after ${points.length} paid calls`}
      className="w-full max-w-[880px] px-4 pt-2"
    >
      <path d={`M${LEFT},${y(0)}H${WIDTH - 8}`} stroke="var(--line-strong)" fill="none" />
      <path d={stairs.join('')} stroke="var(--ok-bar)" strokeWidth="2" fill="none" />
      <text x={LEFT - 6} y={y(last.micros) + 4} fontSize="11" fill="var(--ink-3)" textAnchor="end">
        {formatMoney(last.micros)}
      </text>
      <text x={LEFT - 6} y={y(0) + 4} fontSize="11" fill="var(--ink-3)" textAnchor="end">
        $0
      </text>
      <text x={LEFT} y={HEIGHT - 6} fontSize="11" fill="var(--ink-3)">
        {formatClock(first.at)}
      </text>
      <text x={WIDTH - 8} y={HEIGHT - 6} fontSize="11" fill="var(--ink-3)" textAnchor="end">
        {formatClock(last.at)}
      </text>
    </svg>
  )
}
