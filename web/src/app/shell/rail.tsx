import { useQuery } from '@tanstack/react-query'
import { Activity, Bot, Inbox, type LucideIcon, Workflow, Wrench } from 'lucide-react'
import { NavLink } from 'react-router'
import { usePolling } from '@/api/use-live'
import { openApprovalsQuery } from '@/features/approvals/api'
import { cn } from '@/lib/cn'
import { paths } from '@/lib/paths'

type Item = { label: string; icon: LucideIcon; to: (project: string) => string; counts?: true }
const GROUPS: ReadonlyArray<{ label: string; items: readonly Item[] }> = [
  {
    label: 'Operate',
    items: [
      { label: 'Runs', icon: Activity, to: paths.runs },
      { label: 'Approvals', icon: Inbox, to: paths.approvals, counts: true },
    ],
  },
  {
    label: 'Build',
    items: [
      { label: 'Workflows', icon: Workflow, to: paths.workflows },
      { label: 'Agents', icon: Bot, to: paths.agents },
      { label: 'Tools', icon: Wrench, to: paths.tools },
    ],
  },
]

const POLL_MS = 10_000

/** The ways through a project. The number of open approvals is its only colour. */
export function Rail({ project }: { project: string }) {
  const poll = usePolling(POLL_MS)
  const open = useQuery({ ...openApprovalsQuery(project), refetchInterval: poll })
  const count = open.data?.items.length ?? 0
  const shown = open.data?.next_cursor ? `${count}+` : String(count)
  return (
    <nav aria-label="Project" className="overflow-y-auto border-r border-line bg-bg px-2 py-2">
      {GROUPS.map((group) => (
        <div key={group.label} className="mb-3">
          <h2 className="px-2 py-1 text-dense font-medium text-ink-3 max-lg:sr-only">{group.label}</h2>
          {group.items.map((item) => (
            <NavLink
              key={item.label}
              to={item.to(project)}
              aria-label={item.counts && count > 0 ? `${item.label}, ${shown} waiting` : item.label}
              title={item.label}
              className={({ isActive }) =>
                cn(
                  'relative flex h-7 items-center gap-2.5 rounded-md px-2 text-ink-2 hover:bg-raised hover:text-ink',
                  isActive && 'bg-raised font-medium text-ink',
                )
              }
            >
              <item.icon aria-hidden className="size-3.5 shrink-0" />
              <span className="max-lg:hidden">{item.label}</span>
              {item.counts && count > 0 ? (
                <span className="ml-auto rounded-sm bg-st-waiting px-1.5 text-meta font-semibold text-on-spark max-lg:absolute max-lg:-top-1 max-lg:right-0 max-lg:px-1">
                  {shown}
                </span>
              ) : null}
            </NavLink>
          ))}
        </div>
      ))}
    </nav>
  )
}
