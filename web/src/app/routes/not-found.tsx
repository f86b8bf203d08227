import { Link } from 'react-router'
import { Page } from '@/components/page'
import { Empty } from '@/components/states'
import { buttonClass } from '@/components/ui/button'
import { paths } from '@/lib/paths'

export default function NotFoundPage() {
  return (
    <Page title="Not found">
      <Empty
        title="There is nothing at this address"
        action={
          <Link to={paths.projects()} className={buttonClass({})}>
            Go to projects
          </Link>
        }
      >
        The address may be mistyped, or what it named may be gone.
      </Empty>
    </Page>
  )
}
