import { Page, PageHeader } from '@/components/page'
import { PeopleList } from '@/features/access/people-list'
import { TopBar } from '../shell/top-bar'

export default function UsersPage() {
  return (
    <div className="grid h-full grid-rows-[44px_minmax(0,1fr)]">
      <TopBar project={null} />
      <main className="overflow-auto">
        <Page title="People">
          <PageHeader title="People" facts="Who has an account in this installation" />
          <PeopleList />
        </Page>
      </main>
    </div>
  )
}
