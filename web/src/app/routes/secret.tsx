import { useQuery } from '@tanstack/react-query'
import { useParams } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { secretQuery } from '@/features/secrets/api'
import { BackToSecrets } from '@/features/secrets/secret-list'
import { SecretActions, SecretFacts, SecretView } from '@/features/secrets/secret-view'

export default function SecretPage() {
  const { project = '', secretId = '' } = useParams()
  const secret = useQuery(secretQuery(secretId))
  if (secret.isError && !secret.data) {
    return <ProblemPanel error={secret.error} onRetry={() => void secret.refetch()} />
  }
  if (!secret.data) return <SkeletonRows />
  return (
    <Page title={secret.data.name}>
      <div className="absolute inset-0 flex flex-col bg-surface">
        <PageHeader
          title={
            <span className="flex items-center gap-2">
              <BackToSecrets project={project} />
              <span className="text-ink-3">/</span>
              {secret.data.name}
            </span>
          }
          facts={<SecretFacts secret={secret.data} />}
          actions={<SecretActions secret={secret.data} />}
        />
        <SecretView key={secretId} project={project} secret={secret.data} />
      </div>
    </Page>
  )
}
