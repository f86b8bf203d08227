import { useQuery } from '@tanstack/react-query'
import { Outlet, useParams } from 'react-router'
import { permissionsQuery } from '@/features/access/api'
import { ViewAsBar } from '@/features/access/view-as-bar'
import { ProjectHalts } from '@/features/control/halt-banner'
import { meQuery } from '@/features/identity/api'
import { keepLastProject } from '@/features/projects/last-project'
import { Rail } from './rail'
import { TopBar } from './top-bar'
import { useProjectLive } from './use-project-live'

/** The frame of a project's pages: top bar, rail, and the page beside it. */
export default function Shell() {
  const { project = '' } = useParams()
  useProjectLive(project)
  keepLastProject(project)
  // What the parts of a page read to know what one's role allows.
  useQuery(meQuery)
  useQuery(permissionsQuery)
  return (
    <div className="grid h-full grid-cols-[48px_minmax(0,1fr)] grid-rows-[44px_minmax(0,1fr)] lg:grid-cols-[204px_minmax(0,1fr)]">
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-surface focus:p-2"
      >
        Skip to content
      </a>
      <TopBar project={project} className="col-span-2" />
      <Rail project={project} />
      <div className="flex min-w-0 flex-col">
        <ViewAsBar project={project} />
        <ProjectHalts project={project} />
        <main id="content" tabIndex={-1} className="relative min-h-0 flex-1 overflow-auto outline-none">
          <Outlet />
        </main>
      </div>
    </div>
  )
}
