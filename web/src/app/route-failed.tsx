import { isRouteErrorResponse, useRouteError } from 'react-router'
import { ProblemPanel } from '@/components/problem-panel'

/** A page that failed to load or to show. The frame around it stays. */
export function RouteFailed() {
  const error = useRouteError()
  const shown = isRouteErrorResponse(error) ? new Error(`${error.status} ${error.statusText}`) : error
  return <ProblemPanel error={shown} onRetry={() => location.reload()} />
}
