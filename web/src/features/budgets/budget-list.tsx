import { useInfiniteQuery } from '@tanstack/react-query'
import type { Budget } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { Paged } from '@/components/paged'
import { Empty } from '@/components/states'
import { PermittedButton } from '@/features/access/permitted-button'
import { formatMoney, plural } from '@/lib/format'
import { paths } from '@/lib/paths'
import { budgetsQuery } from './api'
import { FillBar } from './fill-bar'
import { allows, amount, fullest, PERIODS, percent, share, steps, whom } from './words'

/** Nothing live tells of budgets. */
const POLL_MS = 5000

const COLUMNS: ReadonlyArray<Column<Budget>> = [
  {
    id: 'name',
    header: 'Name',
    width: '16%',
    cell: (budget) => <span className="font-medium">{budget.name}</span>,
  },
  { id: 'for', header: 'For', width: '13%', cell: whom },
  { id: 'period', header: 'Period', width: '72px', cell: (budget) => PERIODS[budget.period] },
  { id: 'limit', header: 'Limit', width: '13%', cell: (budget) => allows(budget.limits) },
  { id: 'used', header: 'Spent and held', cell: (budget) => <Used budget={budget} /> },
  {
    id: 'forecast',
    header: 'Expected',
    width: '92px',
    align: 'end',
    cell: (budget) => <Expected budget={budget} />,
  },
  {
    id: 'then',
    header: 'Thresholds',
    width: '17%',
    wideOnly: true,
    cell: (budget) => steps(budget.thresholds),
  },
  { id: 'waits', header: 'Waiting', width: '72px', align: 'end', cell: (budget) => waiting(budget.waiting) },
]

const waiting = (count: number) => (count === 0 ? '' : plural(count, 'step'))

type BudgetListProps = { project: string; archived: boolean; onNew: () => void }

/** The budgets that hold for a project, each with its fullest window. */
export function BudgetList({ project, archived, onNew }: BudgetListProps) {
  const found = useInfiniteQuery({ ...budgetsQuery(project, archived), refetchInterval: POLL_MS })
  const none = archived ? (
    <Empty title="No archived budgets" />
  ) : (
    <Empty
      title="No budgets yet"
      action={
        <PermittedButton permission="budget:manage" variant="primary" onClick={onNew}>
          New budget
        </PermittedButton>
      }
    >
      A budget holds what a call may cost before it is made. Without one, each run has only its own.
    </Empty>
  )
  return (
    <Paged found={found} empty={none}>
      {(budgets) => (
        <DataTable
          label="Budgets"
          columns={COLUMNS}
          rows={budgets}
          keyOf={(budget) => budget.id}
          linkTo={(budget) => paths.budget(project, budget.id)}
        />
      )}
    </Paged>
  )
}

function Used({ budget }: { budget: Budget }) {
  const [window] = budget.windows
  const fill = window && fullest(window)
  if (!fill) return <span className="text-ink-3">Nothing in this period</span>
  return (
    <span className="flex items-center gap-2">
      <FillBar fill={fill} className="min-w-16 flex-1" />
      <span className="w-40 truncate tabular-nums">
        {percent(share(fill))}{' '}
        <span className="text-ink-3">
          {amount(fill.kind, fill.used + fill.held)}
          {budget.members > 1 && window?.member ? `, ${window.member.name}` : ''}
        </span>
      </span>
    </span>
  )
}

function Expected({ budget }: { budget: Budget }) {
  const forecast = budget.windows[0]?.forecast
  if (!forecast) return null
  const over = forecast.exhausted_at !== null
  return (
    <span className={over ? 'text-tx-failed' : undefined} title={forecast.method}>
      {formatMoney(forecast.micros)}
    </span>
  )
}

/** When a limit will be reached, in a sentence. */
export function Exhausted({ at, now }: { at: string | null; now: boolean }) {
  if (at === null) return <>It is expected to last until the end of the period.</>
  return now ? (
    <>The limit has been reached.</>
  ) : (
    <>
      The limit is expected to be reached <Moment at={at} exact />.
    </>
  )
}
