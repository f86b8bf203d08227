import { useState } from 'react'
import type { UserLink } from '@/api/generated/types.gen'
import { Page, PageHeader } from '@/components/page'
import { Button } from '@/components/ui/button'
import { PeopleList } from '@/features/access/people-list'
import { InviteDialog } from '@/features/identity/invite-dialog'
import { LinkDialog } from '@/features/identity/link-dialog'
import { TopBar } from '../shell/top-bar'

export default function UsersPage() {
  const [inviting, setInviting] = useState(false)
  const [made, setMade] = useState<UserLink | null>(null)
  return (
    <div className="grid h-full grid-rows-[44px_minmax(0,1fr)]">
      <TopBar project={null} />
      <main className="overflow-auto">
        <Page title="People">
          <PageHeader
            title="People"
            facts="Who has an account in this installation"
            actions={
              <Button variant="primary" onClick={() => setInviting(true)}>
                Invite a person
              </Button>
            }
          />
          <PeopleList />
        </Page>
      </main>
      <InviteDialog
        open={inviting}
        onOpenChange={setInviting}
        onInvited={(link) => {
          setInviting(false)
          setMade(link)
        }}
      />
      <LinkDialog made={made} onClose={() => setMade(null)} />
    </div>
  )
}
