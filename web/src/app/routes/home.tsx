import { useQuery } from '@tanstack/react-query'
import { Navigate } from 'react-router'
import { ProblemPanel } from '@/components/problem-panel'
import { meQuery } from '@/features/identity/api'
import { readLastProject } from '@/features/projects/last-project'
import { paths } from '@/lib/paths'
import { Splash } from '../root-layout'

/** To the project that was open last, or to the list of projects. */
export default function HomePage() {
  const me = useQuery(meQuery)
  if (me.isError) return <ProblemPanel error={me.error} onRetry={() => void me.refetch()} />
  if (!me.data) return <Splash />
  const last = readLastProject()
  const { projects } = me.data
  const project =
    projects.find((one) => one.slug === last) ?? (projects.length === 1 ? projects[0] : undefined)
  return <Navigate to={project ? paths.runs(project.slug) : paths.projects()} replace />
}
