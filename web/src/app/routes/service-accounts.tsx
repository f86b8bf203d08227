import { useState } from 'react'
import { useNavigate, useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { Permitted } from '@/features/access/permitted'
import { PermittedButton } from '@/features/access/permitted-button'
import { AccountList, NewAccountDialog } from '@/features/keys/account-list'
import { paths } from '@/lib/paths'

export default function ServiceAccountsPage() {
  const { project = '' } = useParams()
  const [making, setMaking] = useState(false)
  const navigate = useNavigate()
  return (
    <Page title="Service accounts">
      <PageHeader
        title="Service accounts"
        facts="They act in this project by keys alone"
        actions={
          <PermittedButton permission="account:manage" variant="primary" onClick={() => setMaking(true)}>
            New service account
          </PermittedButton>
        }
      />
      <Permitted permission="account:read">
        <AccountList key={project} project={project} />
      </Permitted>
      <NewAccountDialog
        project={project}
        open={making}
        onClose={() => setMaking(false)}
        onMade={(id) => void navigate(paths.account(project, id))}
      />
    </Page>
  )
}
