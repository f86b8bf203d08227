import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { budgetQuery } from '@/features/budgets/api'
import { BudgetActions, BudgetFacts, BudgetView } from '@/features/budgets/budget-view'
import { paths } from '@/lib/paths'

/** Nothing live tells of budgets. */
const POLL_MS = 5000

export default function BudgetPage() {
  const { project = '', budgetId = '' } = useParams()
  const budget = useQuery({ ...budgetQuery(budgetId), refetchInterval: POLL_MS })
  if (budget.isError && !budget.data) {
    return <ProblemPanel error={budget.error} onRetry={() => void budget.refetch()} />
  }
  if (!budget.data) return <SkeletonRows />
  return (
    <Page title={budget.data.name}>
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          within={{ to: paths.budgets(project), label: 'Budgets' }}
          title={budget.data.name}
          facts={<BudgetFacts budget={budget.data} />}
          actions={<BudgetActions project={project} budget={budget.data} />}
        />
        <BudgetView key={budgetId} project={project} budget={budget.data} />
      </div>
    </Page>
  )
}
