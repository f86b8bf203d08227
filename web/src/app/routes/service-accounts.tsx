import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useNavigate, useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { meQuery } from '@/features/identity/api'
import { AccountList, NewAccountDialog } from '@/features/keys/account-list'
import { manages } from '@/features/keys/words'
import { paths } from '@/lib/paths'

export default function ServiceAccountsPage() {
  const { project = '' } = useParams()
  const [making, setMaking] = useState(false)
  const navigate = useNavigate()
  const me = useQuery(meQuery)
  return (
    <Page title="Service accounts">
      <PageHeader
        title="Service accounts"
        facts="They act in this project by keys alone"
        actions={
          manages(me.data, project) ? (
            <Button variant="primary" onClick={() => setMaking(true)}>
              New service account
            </Button>
          ) : undefined
        }
      />
      <AccountList key={project} project={project} />
      <NewAccountDialog
        project={project}
        open={making}
        onClose={() => setMaking(false)}
        onMade={(id) => void navigate(paths.account(project, id))}
      />
    </Page>
  )
}
