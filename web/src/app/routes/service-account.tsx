import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { Page } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { meQuery } from '@/features/identity/api'
import { AccountView } from '@/features/keys/account-view'
import { accountsQuery } from '@/features/keys/api'
import { manages } from '@/features/keys/words'

export default function ServiceAccountPage() {
  const { project = '', accountId = '' } = useParams()
  const accounts = useQuery(accountsQuery(project))
  const me = useQuery(meQuery)
  const account = accounts.data?.items.find((one) => one.id === accountId)
  return (
    <Page title={account?.name ?? 'Service account'}>
      {accounts.isPending ? <SkeletonRows rows={4} /> : null}
      {accounts.isError && !accounts.data ? (
        <ProblemPanel error={accounts.error} onRetry={() => void accounts.refetch()} />
      ) : null}
      {accounts.data && !account ? <Empty title="There is no such service account here" /> : null}
      {account ? (
        <AccountView project={project} account={account} manages={manages(me.data, project)} />
      ) : null}
    </Page>
  )
}
