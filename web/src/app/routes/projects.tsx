import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useNavigate } from 'react-router'
import { Page, PageHeader } from '@/components/page'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { ReasonedButton } from '@/features/access/permitted-button'
import { meQuery } from '@/features/identity/api'
import { projectsQuery } from '@/features/projects/api'
import { NewProjectDialog } from '@/features/projects/new-project-dialog'
import { ProjectList } from '@/features/projects/project-list'
import { plural } from '@/lib/format'
import { paths } from '@/lib/paths'
import { TopBar } from '../shell/top-bar'

export default function ProjectsPage() {
  const projects = useQuery(projectsQuery)
  const me = useQuery(meQuery)
  const refused =
    me.data && !me.data.may_create_projects
      ? 'Only administrators of the installation create projects here; ask one of them.'
      : null
  const [making, setMaking] = useState(false)
  const navigate = useNavigate()
  const rows = projects.data?.items ?? []
  return (
    <div className="grid h-full grid-rows-[44px_minmax(0,1fr)]">
      <TopBar project={null} />
      <main className="overflow-auto">
        <Page title="Projects">
          <PageHeader
            title="Projects"
            facts={projects.data ? plural(rows.length, 'project') : undefined}
            actions={
              <ReasonedButton refused={refused} variant="primary" onClick={() => setMaking(true)}>
                New project
              </ReasonedButton>
            }
          />
          {projects.isPending ? <SkeletonRows rows={4} /> : null}
          {projects.isError ? (
            <ProblemPanel error={projects.error} onRetry={() => void projects.refetch()} />
          ) : null}
          {projects.isSuccess && rows.length === 0 ? (
            <Empty title="No projects yet">
              A project holds workflows, agents, tools and their runs, and the people who may see them.
            </Empty>
          ) : null}
          {rows.length > 0 ? <ProjectList projects={rows} /> : null}
        </Page>
      </main>
      <NewProjectDialog
        open={making}
        onOpenChange={setMaking}
        onCreated={(slug) => void navigate(paths.runs(slug))}
      />
    </div>
  )
}
