import { Link } from 'react-router'
import type { Approval, AskingBudget } from '@/api/generated/types.gen'
import { Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { paths } from '@/lib/paths'

/** The rule by which budgets ask; no policy may have one of this name. */
export const BUDGET_RULE = 'budget'

/** The budgets that ask whether a run may begin, or a call leave, each with what it goes beyond. */
export function AskingBudgets({ approval }: { approval: Approval }) {
  return (
    <ul aria-label="Budgets that ask" className="grid gap-0.5">
      {approval.budgets.map((budget) => (
        <li key={`${budget.budget_id} ${budget.about}`}>
          <Link
            to={paths.budget(approval.project, budget.budget_id)}
            className="underline underline-offset-2 hover:text-ink-2"
          >
            {budget.name}
          </Link>
          : <Beyond budget={budget} />
          {budget.resets_at ? (
            <span className="text-ink-2">
              {' '}
              It resets <Moment at={budget.resets_at} />.
            </span>
          ) : null}
        </li>
      ))}
    </ul>
  )
}

/** How far the run would go beyond a budget; as the server says it, where figures are missing. */
function Beyond({ budget }: { budget: AskingBudget }) {
  const { about, limit_runs, used_runs, percent, room_micros, median_micros, p95_micros, runs } = budget
  if (about === 'runs' && typeof limit_runs === 'number' && typeof used_runs === 'number') {
    const share = percent === 100 ? '' : `; beyond ${percent} % it asks`
    return (
      <>{`${used_runs.toLocaleString('en')} of ${limit_runs.toLocaleString('en')} runs are used${share}.`}</>
    )
  }
  if (typeof room_micros !== 'number' || typeof median_micros !== 'number' || typeof p95_micros !== 'number')
    return <>{budget.reason}</>
  return (
    <>
      <Money micros={Math.max(0, room_micros)} /> left. Such a run costs <Money micros={median_micros} /> in
      the median, <Money micros={p95_micros} /> at the 95th percentile, of the last {runs}.
    </>
  )
}
