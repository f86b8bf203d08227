import { useInfiniteQuery } from '@tanstack/react-query'
import { Download } from 'lucide-react'
import { useState } from 'react'
import { Link } from 'react-router'
import type { Backtest, BacktestDay, Change, Flip } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Glyph, Status } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { cn } from '@/lib/cn'
import { formatMoney, plural } from '@/lib/format'
import { paths } from '@/lib/paths'
import { allFlips, flipsQuery, isJudged, useCancelBacktest } from './backtests-api'
import { flipsAsCsv, saveAsFile } from './flips-csv'
import { BACKTEST_FACE, CHANGE_FACE, OUTCOME_FACE } from './words'

const CHANGES: readonly Change[] = ['stays', 'newly_denied', 'newly_held', 'newly_allowed', 'undecidable']
const FLIPS: readonly Change[] = ['newly_denied', 'newly_held', 'newly_allowed']

/** What a backtest has found, whole: counts, days, and every flip that is listed. */
export function BacktestResult({ project, backtest }: { project: string; backtest: Backtest }) {
  return (
    <article aria-label="Backtest" className="min-w-0 flex-1 overflow-y-auto">
      <BacktestHead project={project} backtest={backtest} />
      <Counts backtest={backtest} />
      <Lacking backtest={backtest} />
      <Warnings backtest={backtest} />
      {backtest.days.length > 0 ? <Days backtest={backtest} /> : null}
      {backtest.flips_listed > 0 ? <Flips backtest={backtest} /> : null}
    </article>
  )
}

/** How far it has got. */
export function BacktestHead({ project, backtest }: { project: string; backtest: Backtest }) {
  const cancel = useCancelBacktest(project)
  const over = isJudged(backtest)
  const share = backtest.total ? Math.min(1, backtest.judged / backtest.total) : 0
  return (
    <div className="flex flex-wrap items-center gap-x-4 gap-y-1 border-b border-line px-4 py-2">
      <Status face={BACKTEST_FACE[backtest.status]} />
      <p aria-live="polite">
        {plural(backtest.judged, 'decision')}
        {over || backtest.total === null ? ' judged' : ` of ${backtest.total.toLocaleString('en-US')} judged`}
        {backtest.project === null ? ' in all projects' : ''}, from <Moment at={backtest.since} /> to{' '}
        <Moment at={backtest.until} />
        {backtest.subjects ? `, on ${backtest.subjects.join(', ')}` : ''}
      </p>
      {over ? null : (
        <>
          <progress aria-label="Progress" max={1} value={share} className="h-1.5 w-40 accent-[var(--ink)]" />
          <Button size="sm" disabled={backtest.cancel_requested} onClick={() => cancel.mutate(backtest.id)}>
            {backtest.cancel_requested ? 'Cancelling' : 'Cancel'}
          </Button>
        </>
      )}
      {typeof backtest.error?.message === 'string' ? (
        <p role="alert" className="text-tx-failed">
          {backtest.error.message}
        </p>
      ) : null}
    </div>
  )
}

/** How many decisions are unchanged, and how many would change. */
export function Counts({ backtest }: { backtest: Backtest }) {
  return (
    <dl
      aria-label="What would have changed"
      className="grid grid-cols-5 border-b border-line max-md:grid-cols-2"
    >
      {CHANGES.map((change) => {
        const count = backtest.counts[change] ?? 0
        return (
          <div key={change} className="border-r border-line px-4 py-2 last:border-r-0">
            <dt className="flex items-center gap-1.5 text-dense text-ink-2">
              <Glyph tone={CHANGE_FACE[change].tone} />
              {CHANGE_FACE[change].label}
            </dt>
            <dd
              className={cn('text-title tabular-nums', count === 0 ? 'text-ink-3' : 'font-semibold text-ink')}
            >
              {count.toLocaleString('en-US')}
            </dd>
          </div>
        )
      })}
    </dl>
  )
}

/** Which facts were not recorded. */
export function Lacking({ backtest }: { backtest: Backtest }) {
  const names = Object.entries(backtest.lacking).sort(([, a], [, b]) => b - a)
  if (names.length === 0) return null
  return (
    <p className="border-b border-line bg-bg px-4 py-2 text-ink-2">
      Undecidable, because the draft asks for facts that were not recorded then:{' '}
      {names.slice(0, 8).map(([name, count], index) => (
        <span key={name}>
          {index > 0 ? ', ' : ''}
          <code className="font-mono text-dense text-ink">{name}</code> ({count.toLocaleString('en-US')})
        </span>
      ))}
      . A fact is recorded from the day a rule first asks for it.
    </p>
  )
}

/** What the numbers do not tell: of which subjects nothing was on record. */
export function Warnings({ backtest }: { backtest: Backtest }) {
  if (backtest.warnings.length === 0) return null
  return (
    <ul aria-label="What is not known" className="border-b border-line bg-bg px-4 py-2 text-ink">
      {backtest.warnings.map((words) => (
        <li key={words}>{words}</li>
      ))}
    </ul>
  )
}

const DAYS: ReadonlyArray<Column<BacktestDay>> = [
  { id: 'date', header: 'Day', width: '120px', cell: (day) => day.date },
  {
    id: 'decisions',
    header: 'Decisions',
    width: '104px',
    align: 'end',
    cell: (day) => day.decisions.toLocaleString('en-US'),
  },
  {
    id: 'approvals',
    header: 'Approvals',
    align: 'end',
    cell: (day) => <Shift was={day.approvals} then={day.approvals_then} />,
  },
  {
    id: 'denials',
    header: 'Denials',
    align: 'end',
    cell: (day) => <Shift was={day.denials} then={day.denials_then} />,
  },
  {
    id: 'denied',
    header: 'Not spent',
    align: 'end',
    cell: (day) => <Money micros={day.denied_micros} />,
  },
  {
    id: 'held',
    header: 'Spent after approval',
    align: 'end',
    cell: (day) => <Money micros={day.held_micros} />,
  },
  {
    id: 'allowed',
    header: 'Extra spend, at most',
    align: 'end',
    cell: (day) => <Money micros={day.allowed_micros} />,
  },
]

function Shift({ was, then }: { was: number; then: number }) {
  if (was === then) return <span className="text-ink-3">{was.toLocaleString('en-US')}</span>
  return (
    <>
      <span className="text-ink-3">{was.toLocaleString('en-US')} → </span>
      <span className="font-medium">{then.toLocaleString('en-US')}</span>
    </>
  )
}

function Days({ backtest }: { backtest: Backtest }) {
  return (
    <section aria-label="By day" className="border-b border-line">
      <h3 className="px-4 pt-3 pb-1 font-medium">
        By day <span className="font-normal text-ink-3">in {backtest.time_zone}</span>
      </h3>
      <DataTable label="By day" columns={DAYS} rows={backtest.days} keyOf={(day) => day.date} />
    </section>
  )
}

/** What it would have meant in approvals and money, in one sentence. */
export function Meaning({ backtest }: { backtest: Backtest }) {
  const sum = (key: keyof Omit<BacktestDay, 'date' | 'subjects'>) =>
    backtest.days.reduce((total, day) => total + day[key], 0)
  const days = Math.max(backtest.days.length, 1)
  const perDay = (sum('approvals_then') / days).toLocaleString('en-US', { maximumFractionDigits: 1 })
  return (
    <p className="text-ink-2">
      It would have meant {perDay} approvals a day instead of{' '}
      {(sum('approvals') / days).toLocaleString('en-US', { maximumFractionDigits: 1 })}, and{' '}
      {formatMoney(sum('denied_micros'))} not spent.
    </p>
  )
}

const IN: Column<Flip> = { id: 'project', header: 'Project', width: '120px', cell: (flip) => flip.project }

const FLIP_COLUMNS: ReadonlyArray<Column<Flip>> = [
  {
    id: 'change',
    header: 'Change',
    width: '136px',
    cell: (flip) => <Status face={CHANGE_FACE[flip.change]} />,
  },
  { id: 'at', header: 'When', width: '152px', cell: (flip) => <Moment at={flip.at} /> },
  {
    id: 'what',
    header: 'What',
    width: '20%',
    cell: (flip) => (
      <Link to={paths.decision(flip.project, flip.decision_id)} className="hover:underline">
        {flip.name ?? flip.subject} <span className="text-ink-3">{flip.name ? flip.subject : ''}</span>
      </Link>
    ),
  },
  {
    id: 'was',
    header: 'Before',
    cell: (flip) => `${OUTCOME_FACE[flip.was].label} ${flip.old_rule ? `by ${flip.old_rule}` : 'by default'}`,
  },
  {
    id: 'then',
    header: 'Would be decided by',
    cell: (flip) => (
      <span title={flip.reason ?? undefined}>
        {flip.new_rule ? `${flip.new_rule} of ${flip.new_policy}` : 'the default'}
      </span>
    ),
  },
  {
    id: 'cost',
    header: 'Cost',
    width: '88px',
    align: 'end',
    cell: (flip) => <Money micros={flip.cost_micros} />,
  },
]

function Flips({ backtest }: { backtest: Backtest }) {
  const [change, setChange] = useState<Change | null>(null)
  const found = useInfiniteQuery(flipsQuery(backtest.id, change, isJudged(backtest)))
  const total = FLIPS.reduce((sum, one) => sum + (backtest.counts[one] ?? 0), 0)
  const save = () =>
    void allFlips(backtest.id).then(
      (flips) => saveAsFile(`${backtest.policy_name}-backtest.csv`, flipsAsCsv(flips)),
      () => toast('The list could not be read', { bad: true }),
    )
  return (
    <section aria-label="Decisions that would change">
      <div className="flex flex-wrap items-center gap-2 px-4 pt-3 pb-1">
        <h3 className="mr-auto font-medium">
          Decisions that would change{' '}
          <span className="font-normal text-ink-3">
            {total > backtest.flips_listed
              ? `the newest ${backtest.flips_listed.toLocaleString('en-US')} of ${total.toLocaleString('en-US')}`
              : total.toLocaleString('en-US')}
          </span>
        </h3>
        {FLIPS.filter((one) => backtest.counts[one]).map((one) => (
          <Button
            key={one}
            variant="ghost"
            size="sm"
            aria-pressed={change === one}
            className={cn(change === one && 'border-ink bg-raised text-ink')}
            onClick={() => setChange(change === one ? null : one)}
          >
            <Glyph tone={CHANGE_FACE[one].tone} />
            {CHANGE_FACE[one].label}
          </Button>
        ))}
        <Button size="sm" onClick={save}>
          <Download aria-hidden />
          CSV
        </Button>
      </div>
      {backtest.project === null ? (
        <p className="px-4 pb-1 text-ink-2">
          Only those in projects that you belong to are shown here; the numbers above are of all.
        </p>
      ) : null}
      {found.isError && !found.data ? <ProblemPanel error={found.error} /> : null}
      {found.data ? (
        <DataTable
          label="Flips"
          columns={backtest.project === null ? [IN, ...FLIP_COLUMNS] : FLIP_COLUMNS}
          rows={found.data.pages.flatMap((page) => page.items)}
          keyOf={(flip) => flip.id}
        />
      ) : (
        <SkeletonRows rows={4} />
      )}
      {found.hasNextPage ? (
        <Button className="m-3" onClick={() => void found.fetchNextPage()}>
          Load more
        </Button>
      ) : null}
    </section>
  )
}
