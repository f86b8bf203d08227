import { useQuery } from '@tanstack/react-query'
import { Navigate, useParams, useSearchParams } from 'react-router'
import { ProblemPanel } from '@/components/problem-panel'
import { linkedApprovalQuery } from '@/features/approvals/link-api'
import { paths } from '@/lib/paths'
import { Splash } from '../root-layout'

/** From a link in a mail or a chat to the question in the inbox of its project. */
export default function ApprovalLinkPage() {
  const { approvalId = '' } = useParams()
  const [search] = useSearchParams()
  const found = useQuery(linkedApprovalQuery(approvalId, search.get('s') ?? ''))
  if (found.isError) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  if (!found.data) return <Splash />
  const { project, id, status } = found.data
  const state = status === 'pending' ? 'open' : 'done'
  return <Navigate to={`${paths.approvals(project)}?state=${state}&item=${id}`} replace />
}
