import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { usePolling } from '@/api/use-live'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { budgetQuery } from '@/features/budgets/api'
import { BackToBudgets } from '@/features/budgets/budget-list'
import { BudgetActions, BudgetFacts, BudgetView } from '@/features/budgets/budget-view'

const POLL_MS = 5000

export default function BudgetPage() {
  const { project = '', budgetId = '' } = useParams()
  const budget = useQuery({ ...budgetQuery(budgetId), refetchInterval: usePolling(POLL_MS) })
  if (budget.isError && !budget.data) {
    return <ProblemPanel error={budget.error} onRetry={() => void budget.refetch()} />
  }
  if (!budget.data) return <SkeletonRows />
  return (
    <Page title={budget.data.name}>
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          title={
            <span className="flex items-center gap-2">
              <BackToBudgets project={project} />
              <span className="text-ink-3">/</span>
              {budget.data.name}
            </span>
          }
          facts={<BudgetFacts budget={budget.data} />}
          actions={<BudgetActions project={project} budget={budget.data} />}
        />
        <BudgetView key={budgetId} project={project} budget={budget.data} />
      </div>
    </Page>
  )
}
