import { Plus } from 'lucide-react'
import { Link, useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { buttonClass } from '@/components/ui/button'
import { JudgingFacts } from '@/features/policies/judging'
import { PolicyList } from '@/features/policies/policy-list'
import { paths } from '@/lib/paths'

export default function PoliciesPage() {
  const { project = '' } = useParams()
  const make = (
    <Link to={`${paths.policies(project)}/new`} className={buttonClass({ variant: 'primary' })}>
      <Plus aria-hidden />
      New policy
    </Link>
  )
  return (
    <Page title="Policies">
      <PageHeader title="Policies" facts={<JudgingFacts key={project} project={project} />} actions={make} />
      <PolicyList project={project} make={make} />
    </Page>
  )
}
