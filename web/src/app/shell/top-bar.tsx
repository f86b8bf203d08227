import { useQuery } from '@tanstack/react-query'
import { ChevronsUpDown, FolderOpen } from 'lucide-react'
import { Link, useNavigate } from 'react-router'
import { Menu, MenuChoice, MenuItem, MenuLine } from '@/components/ui/menu'
import { meQuery } from '@/features/identity/api'
import { cn } from '@/lib/cn'
import { paths } from '@/lib/paths'
import { LiveState } from './live-state'
import { Mark } from './mark'
import { UserMenu } from './user-menu'

export function TopBar({ project, className }: { project: string | null; className?: string }) {
  return (
    <header className={cn('flex items-center gap-3 border-b border-line bg-surface px-4', className)}>
      <Link to="/" className="flex items-center gap-2.5 font-semibold" aria-label="Spark-Ops, home">
        <Mark />
        <span className="max-md:hidden">Spark-Ops</span>
      </Link>
      {project === null ? null : <ProjectSwitch project={project} />}
      <div className="ml-auto flex items-center gap-4">
        {project === null ? null : <LiveState />}
        <UserMenu />
      </div>
    </header>
  )
}

function ProjectSwitch({ project }: { project: string }) {
  const me = useQuery(meQuery)
  const navigate = useNavigate()
  const options = (me.data?.projects ?? []).map((one) => ({ value: one.slug, label: one.name }))
  return (
    <>
      <span aria-hidden className="text-ink-3">
        /
      </span>
      <Menu
        label={`Project ${project}, switch project`}
        align="start"
        className="flex h-7 items-center gap-1.5 rounded-md px-2 hover:bg-raised"
        trigger={
          <>
            {project}
            <ChevronsUpDown aria-hidden className="size-3 text-ink-3" />
          </>
        }
      >
        <MenuChoice
          label="Projects"
          value={project}
          options={options}
          onChange={(slug) => void navigate(paths.runs(slug))}
        />
        <MenuLine />
        <MenuItem onSelect={() => void navigate(paths.projects())}>
          <FolderOpen aria-hidden />
          All projects
        </MenuItem>
      </Menu>
    </>
  )
}
