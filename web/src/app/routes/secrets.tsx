import { useState } from 'react'
import { useNavigate, useParams, useSearchParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { Permitted } from '@/features/access/permitted'
import { PermittedButton } from '@/features/access/permitted-button'
import { NewSecretDialog } from '@/features/secrets/secret-dialogs'
import { SecretList } from '@/features/secrets/secret-list'
import { paths } from '@/lib/paths'

export default function SecretsPage() {
  const { project = '' } = useParams()
  const [search, setSearch] = useSearchParams()
  const [open, setOpen] = useState(false)
  const navigate = useNavigate()
  const archived = search.get('archived') === 'true'
  return (
    <Page title="Secrets">
      <PageHeader
        title="Secrets"
        facts="Written here and never shown again; given to a call when it is sent, and struck out of what comes back"
        actions={
          <>
            <Button aria-pressed={archived} onClick={() => setSearch(archived ? {} : { archived: 'true' })}>
              {archived ? 'In use' : 'Archived'}
            </Button>
            <PermittedButton permission="secret:manage" variant="primary" onClick={() => setOpen(true)}>
              New secret
            </PermittedButton>
          </>
        }
      />
      <Permitted permission="secret:read">
        <SecretList
          key={`${project}/${archived}`}
          project={project}
          archived={archived}
          onNew={() => setOpen(true)}
        />
      </Permitted>
      <NewSecretDialog
        project={project}
        open={open}
        onOpenChange={setOpen}
        onMade={(made) => {
          setOpen(false)
          toast('Secret kept')
          void navigate(paths.secret(project, made.id))
        }}
      />
    </Page>
  )
}
