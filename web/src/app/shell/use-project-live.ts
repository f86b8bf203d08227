import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { live } from '@/api/use-live'
import { approvalKeys } from '@/features/approvals/api'
import { violationKeys } from '@/features/policies/decisions-api'
import { runKeys } from '@/features/runs/keys'
import { uncertainKeys } from '@/features/uncertain/api'
import { coalesce } from '@/lib/coalesce'

const EVERY_MS = 1000

/** While the frame shows a project, what changes in its lists is asked for again. */
export function useProjectLive(project: string): void {
  const queryClient = useQueryClient()
  useEffect(() => {
    const again = (queryKey: readonly unknown[]) =>
      coalesce(() => queryClient.invalidateQueries({ queryKey }), EVERY_MS)
    const runs = again(runKeys.listsOf(project))
    const approvals = again(approvalKeys.of(project))
    const doubt = again(uncertainKeys.of(project))
    const violations = again(violationKeys.of(project))
    const leave = live.listenToProject(project, (changed) => {
      if (changed.includes('runs')) {
        runs.call()
        doubt.call()
        violations.call()
      }
      if (changed.includes('approvals')) approvals.call()
    })
    return () => {
      leave()
      runs.stop()
      approvals.stop()
      doubt.stop()
      violations.stop()
    }
  }, [project, queryClient])
}
