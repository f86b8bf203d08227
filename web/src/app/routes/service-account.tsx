import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { Page } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Permitted } from '@/features/access/permitted'
import { AccountView } from '@/features/keys/account-view'
import { accountsQuery } from '@/features/keys/api'

export default function ServiceAccountPage() {
  const { project = '', accountId = '' } = useParams()
  return (
    <Permitted permission="account:read">
      <Shown project={project} accountId={accountId} />
    </Permitted>
  )
}

function Shown({ project, accountId }: { project: string; accountId: string }) {
  const accounts = useQuery(accountsQuery(project))
  const account = accounts.data?.items.find((one) => one.id === accountId)
  return (
    <Page title={account?.name ?? 'Service account'}>
      {accounts.isPending ? <SkeletonRows rows={4} /> : null}
      {accounts.isError && !accounts.data ? (
        <ProblemPanel error={accounts.error} onRetry={() => void accounts.refetch()} />
      ) : null}
      {accounts.data && !account ? <Empty title="There is no such service account here" /> : null}
      {account ? <AccountView key={account.id} project={project} account={account} /> : null}
    </Page>
  )
}
