import { useNavigate, useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { NewPolicy } from '@/features/policies/new-policy'
import { paths } from '@/lib/paths'

export default function NewPolicyPage() {
  const { project = '' } = useParams()
  const navigate = useNavigate()
  return (
    <Page title="New policy">
      <div className="absolute inset-0 flex flex-col">
        <PageHeader title="New policy" />
        <NewPolicy
          key={project}
          project={project}
          onCreated={(id) => void navigate(paths.policy(project, id))}
        />
      </div>
    </Page>
  )
}
