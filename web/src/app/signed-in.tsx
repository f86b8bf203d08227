import { lazy, Suspense } from 'react'
import { Navigate, Outlet, useLocation } from 'react-router'
import { useSession } from '@/api/use-session'
import { paths } from '@/lib/paths'
import { Splash } from './root-layout'

const MustEnrol = lazy(() => import('./must-enrol'))

/** Shows its pages to whoever is signed in; others sign in first and come back to where they wanted to be. */
export function SignedIn() {
  const session = useSession()
  const { pathname, search, hash } = useLocation()
  if (session.phase === 'starting') return <Splash trouble={session.trouble} />
  if (session.phase === 'in' && session.mustEnrol) {
    return (
      <Suspense fallback={<Splash />}>
        <MustEnrol user={session.user} />
      </Suspense>
    )
  }
  if (session.phase === 'in') return <Outlet />
  const here = pathname + search + hash
  return <Navigate to={paths.login(here === '/' ? undefined : here)} replace />
}
