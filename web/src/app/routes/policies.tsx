import { Plus } from 'lucide-react'
import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { PermittedLink } from '@/features/access/permitted-button'
import { JudgingFacts } from '@/features/policies/judging'
import { PolicyList } from '@/features/policies/policy-list'
import { paths } from '@/lib/paths'

export default function PoliciesPage() {
  const { project = '' } = useParams()
  const make = (
    <PermittedLink permission="policy:write" to={`${paths.policies(project)}/new`} variant="primary">
      <Plus aria-hidden />
      New policy
    </PermittedLink>
  )
  return (
    <Page title="Policies">
      <PageHeader title="Policies" facts={<JudgingFacts key={project} project={project} />} actions={make} />
      <PolicyList project={project} make={make} />
    </Page>
  )
}
