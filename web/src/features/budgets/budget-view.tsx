import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import type { Budget, BudgetNotice, BudgetWindow } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemLine, ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { formatAbsolute, formatMoney, plural, shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { courseQuery, noticesQuery, useArchiveBudget, useChangeBudget, windowsQuery } from './api'
import { BudgetForm } from './budget-form'
import { Exhausted } from './budget-list'
import { CourseChart } from './course-chart'
import { draftOf } from './draft'
import { FillBar, FillLine } from './fill-bar'
import { allows, amount, fills, fullest, NOTICES, PERIODS, percent, share, steps, whom } from './words'

/** Nothing live tells of budgets. */
const POLL_MS = 5000

/** What a budget is, in one line. */
export function BudgetFacts({ budget }: { budget: Budget }) {
  return (
    <div className="flex flex-wrap items-center gap-x-3">
      <span>{whom(budget)}</span>
      <span>
        {PERIODS[budget.period]}: {allows(budget.limits)}
      </span>
      <span>{steps(budget.thresholds)}</span>
      {budget.period === 'run' || budget.period === 'total' ? null : <span>{budget.time_zone}</span>}
      {budget.project === null ? <span>Whole installation</span> : null}
      {budget.archived_at ? (
        <span>
          Archived <Moment at={budget.archived_at} />
        </span>
      ) : null}
    </div>
  )
}

/** The ways to change a budget. */
export function BudgetActions({ project, budget }: { project: string; budget: Budget }) {
  const [open, setOpen] = useState<'change' | 'archive' | null>(null)
  const change = useChangeBudget(budget.id)
  const archive = useArchiveBudget(budget.id)
  if (!budget.may_change) return null
  const close = () => setOpen(null)
  return (
    <>
      <PermittedButton permission="budget:manage" onClick={() => setOpen('archive')}>
        Archive
      </PermittedButton>
      <PermittedButton permission="budget:manage" variant="primary" onClick={() => setOpen('change')}>
        Change budget
      </PermittedButton>
      <Dialog open={open === 'change'} onOpenChange={close} title="Change budget">
        <BudgetForm
          project={project}
          initial={draftOf(budget)}
          fixed
          admin={false}
          saving={change.isPending}
          error={change.error}
          onClose={close}
          onSave={(_, terms) =>
            change.mutate(terms, {
              onSuccess: () => {
                close()
                toast('Budget changed')
              },
            })
          }
        />
      </Dialog>
      <Dialog open={open === 'archive'} onOpenChange={close} title={`Archive ${budget.name}?`}>
        <DialogBody>
          <p>
            Nothing more is counted on it, and what waits for it goes on. Its history stays. An archived
            budget cannot be restored.
          </p>
          <ProblemLine error={archive.error} />
        </DialogBody>
        <DialogActions>
          <Button onClick={close}>Cancel</Button>
          <Button
            variant="danger"
            disabled={archive.isPending}
            onClick={() => archive.mutate(undefined, { onSuccess: close })}
          >
            Archive budget
          </Button>
        </DialogActions>
      </Dialog>
    </>
  )
}

/** How far a budget is: the windows that go on, the course of one of them, what was reached, and the periods before. */
export function BudgetView({ project, budget }: { project: string; budget: Budget }) {
  const [chosen, setChosen] = useState<string | null>(null)
  const shown = budget.windows.find((one) => one.id === chosen) ?? budget.windows[0]
  return (
    <div className="min-h-0 flex-1 overflow-y-auto">
      {budget.waiting > 0 ? (
        <p className="border-b border-line bg-bg px-4 py-2">
          {plural(budget.waiting, 'step')} {budget.waiting === 1 ? 'is' : 'are'} waiting for this budget:
          raise the limit, or archive it, and {budget.waiting === 1 ? 'it goes' : 'they go'} on at once.
        </p>
      ) : null}
      <Section
        title={budget.members > 1 ? `Current period, the fullest of ${budget.members}` : 'Current period'}
      >
        {budget.windows.length === 0 ? (
          <p className="px-4 py-3 text-ink-2">Nothing has been counted on it in this period yet.</p>
        ) : (
          budget.windows.map((one) => (
            <Current
              key={one.id}
              window={one}
              several={budget.windows.length > 1}
              shown={one.id === shown?.id}
              onShow={() => setChosen(one.id)}
            />
          ))
        )}
      </Section>
      {shown && shown.limits.money_micros !== null ? <Course budgetId={budget.id} window={shown} /> : null}
      <Notices project={project} budgetId={budget.id} />
      <History budgetId={budget.id} />
    </div>
  )
}

function Section({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section aria-label={title} className="border-b border-line pb-2">
      <h2 className="px-4 pt-4 pb-1 text-section font-semibold">{title}</h2>
      {children}
    </section>
  )
}

type CurrentProps = { window: BudgetWindow; several: boolean; shown: boolean; onShow: () => void }

function Current({ window: one, several, shown, onShow }: CurrentProps) {
  return (
    <div className="grid max-w-[880px] gap-1 px-4 py-2">
      <div className="flex flex-wrap items-baseline gap-x-3 text-ink-2">
        {one.member ? <span className="font-medium text-ink">{one.member.name}</span> : null}
        {one.ends_at ? (
          <span>
            Resets <Moment at={one.ends_at} exact />
          </span>
        ) : null}
        {several && one.limits.money_micros !== null ? (
          <Button size="sm" variant="ghost" aria-pressed={shown} onClick={onShow}>
            {shown ? 'Shown below' : 'Show its spending'}
          </Button>
        ) : null}
      </div>
      {fills(one).map((fill) => (
        <FillLine key={fill.kind} fill={fill} />
      ))}
      {one.forecast ? (
        <p className="text-ink-2">
          {formatMoney(one.forecast.micros)} expected by the end of the period ({one.forecast.method}).{' '}
          <Exhausted
            at={one.forecast.exhausted_at}
            now={one.spent_micros >= (one.limits.money_micros ?? 0)}
          />
        </p>
      ) : null}
    </div>
  )
}

function Course({ budgetId, window: one }: { budgetId: string; window: BudgetWindow }) {
  const course = useQuery({ ...courseQuery(budgetId, one.id), refetchInterval: POLL_MS })
  return (
    <Section title={one.member ? `Spending of ${one.member.name}` : 'Spending'}>
      {course.data ? <CourseChart course={course.data} /> : <SkeletonRows rows={3} />}
    </Section>
  )
}

const noticeColumns = (project: string): ReadonlyArray<Column<BudgetNotice>> => [
  { id: 'at', header: 'When', width: '160px', cell: (notice) => <Moment at={notice.at} /> },
  {
    id: 'what',
    header: 'Reached',
    cell: (notice) =>
      `${notice.percent} % of ${notice.kind}${notice.member ? `, ${notice.member.name}` : ''}`,
  },
  { id: 'action', header: 'Action', width: '140px', cell: (notice) => NOTICES[notice.action] },
  {
    id: 'run',
    header: 'By run',
    width: '120px',
    cell: (notice) =>
      notice.run_id ? (
        <Link to={paths.run(project, notice.run_id, 'cost')} className="font-mono text-dense underline">
          {shortId(notice.run_id)}
        </Link>
      ) : null,
  },
]

function Notices({ project, budgetId }: { project: string; budgetId: string }) {
  const found = useInfiniteQuery({ ...noticesQuery(budgetId), refetchInterval: POLL_MS })
  const notices = found.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Section title="Thresholds reached">
      {found.isError ? <ProblemPanel error={found.error} onRetry={() => void found.refetch()} /> : null}
      {notices.length === 0 ? (
        <p className="px-4 py-1 text-ink-2">{found.isPending ? '' : 'No threshold has been reached.'}</p>
      ) : (
        <DataTable
          label="Reached thresholds"
          columns={noticeColumns(project)}
          rows={notices}
          keyOf={(one) => one.id}
        />
      )}
      {found.hasNextPage ? (
        <Button className="m-3" onClick={() => void found.fetchNextPage()}>
          Load more
        </Button>
      ) : null}
    </Section>
  )
}

const HISTORY: ReadonlyArray<Column<BudgetWindow>> = [
  {
    id: 'period',
    header: 'Period',
    width: '220px',
    cell: (one) => (one.starts_at ? `From ${formatAbsolute(one.starts_at)}` : 'No end'),
  },
  { id: 'member', header: 'For', width: '18%', cell: (one) => one.member?.name ?? '' },
  {
    id: 'spent',
    header: 'Spent',
    width: '96px',
    align: 'end',
    cell: (one) => formatMoney(one.spent_micros),
  },
  { id: 'limit', header: 'Limit', width: '160px', cell: (one) => allowed(one) },
  {
    id: 'used',
    header: 'Used',
    cell: (one) => {
      const fill = fullest(one)
      return fill ? (
        <span className="flex items-center gap-2">
          <FillBar fill={fill} className="min-w-16 flex-1" />
          <span className="w-32 truncate tabular-nums">
            {percent(share(fill))} <span className="text-ink-3">{amount(fill.kind, fill.used)}</span>
          </span>
        </span>
      ) : null
    },
  },
]

const allowed = (one: BudgetWindow) => allows(one.limits)

function History({ budgetId }: { budgetId: string }) {
  const found = useInfiniteQuery(windowsQuery(budgetId))
  const windows = found.data?.pages.flatMap((page) => page.items) ?? []
  if (windows.length === 0) return null
  return (
    <Section title="History">
      <DataTable label="Periods" columns={HISTORY} rows={windows} keyOf={(one) => one.id} />
      {found.hasNextPage ? (
        <Button className="m-3" onClick={() => void found.fetchNextPage()}>
          Load more
        </Button>
      ) : null}
    </Section>
  )
}
