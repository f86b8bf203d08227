import { Page, PageHeader } from '@/components/page'
import { PeopleList } from '@/features/access/people-list'

export default function UsersPage() {
  return (
    <Page title="People">
      <PageHeader title="People" facts="Who has an account in this installation" />
      <PeopleList />
    </Page>
  )
}
