import { useState } from 'react'
import { useNavigate, useParams, useSearchParams } from 'react-router'
import { useSession } from '@/api/use-session'
import { Page, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useDefineBudget } from '@/features/budgets/api'
import { BudgetForm } from '@/features/budgets/budget-form'
import { BudgetList } from '@/features/budgets/budget-list'
import { EMPTY, newBudget } from '@/features/budgets/draft'
import { paths } from '@/lib/paths'

export default function BudgetsPage() {
  const { project = '' } = useParams()
  const [search, setSearch] = useSearchParams()
  const [open, setOpen] = useState(false)
  const navigate = useNavigate()
  const session = useSession()
  const define = useDefineBudget()
  const archived = search.get('archived') === 'true'
  return (
    <Page title="Budgets">
      <PageHeader
        title="Budgets"
        facts="What a call may cost is held before it is made, against every budget it counts against"
        actions={
          <>
            <Button aria-pressed={archived} onClick={() => setSearch(archived ? {} : { archived: 'true' })}>
              {archived ? 'In force' : 'Archived'}
            </Button>
            <PermittedButton permission="budget:manage" variant="primary" onClick={() => setOpen(true)}>
              New budget
            </PermittedButton>
          </>
        }
      />
      <BudgetList
        key={`${project}/${archived}`}
        project={project}
        archived={archived}
        onNew={() => setOpen(true)}
      />
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title="New budget"
        className="w-[min(600px,calc(100vw-32px))]"
      >
        <BudgetForm
          project={project}
          initial={EMPTY}
          fixed={false}
          admin={session.phase === 'in' && session.user.is_admin}
          saving={define.isPending}
          error={define.error}
          onClose={() => setOpen(false)}
          onSave={(draft, terms) =>
            define.mutate(newBudget(draft, terms, project), {
              onSuccess: (made) => {
                setOpen(false)
                toast('Budget defined')
                void navigate(paths.budget(project, made.id))
              },
            })
          }
        />
      </Dialog>
    </Page>
  )
}
