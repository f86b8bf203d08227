import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Permitted } from '@/features/access/permitted'
import { secretQuery } from '@/features/secrets/api'
import { SecretActions, SecretFacts, SecretView } from '@/features/secrets/secret-view'
import { paths } from '@/lib/paths'

export default function SecretPage() {
  const { project = '', secretId = '' } = useParams()
  return (
    <Permitted permission="secret:read">
      <Shown key={secretId} project={project} secretId={secretId} />
    </Permitted>
  )
}

function Shown({ project, secretId }: { project: string; secretId: string }) {
  const secret = useQuery(secretQuery(secretId))
  if (secret.isError && !secret.data) {
    return <ProblemPanel error={secret.error} onRetry={() => void secret.refetch()} />
  }
  if (!secret.data) return <SkeletonRows />
  return (
    <Page title={secret.data.name}>
      <PageHeader
        within={{ to: paths.secrets(project), label: 'Secrets' }}
        title={secret.data.name}
        facts={<SecretFacts secret={secret.data} />}
        actions={<SecretActions secret={secret.data} />}
      />
      <SecretView project={project} secret={secret.data} />
    </Page>
  )
}
