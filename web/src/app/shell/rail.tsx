import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import {
  Activity,
  Bot,
  CircleHelp,
  Gavel,
  Inbox,
  KeyRound,
  type LucideIcon,
  Power,
  Scale,
  ScrollText,
  Settings,
  ShieldAlert,
  UserCog,
  Users,
  Wallet,
  Workflow,
  Wrench,
} from 'lucide-react'
import { NavLink } from 'react-router'
import { usePolling } from '@/api/use-live'
import { openApprovalsQuery } from '@/features/approvals/api'
import { uncertainQuery } from '@/features/uncertain/api'
import { cn } from '@/lib/cn'
import { paths } from '@/lib/paths'

type Item = {
  label: string
  icon: LucideIcon
  to: (project: string) => string
  counts?: 'approvals' | 'uncertain'
}
const GROUPS: ReadonlyArray<{ label: string; items: readonly Item[] }> = [
  {
    label: 'Operate',
    items: [
      { label: 'Runs', icon: Activity, to: paths.runs },
      { label: 'Approvals', icon: Inbox, to: paths.approvals, counts: 'approvals' },
      { label: 'In doubt', icon: CircleHelp, to: paths.uncertain, counts: 'uncertain' },
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
  {
    label: 'Govern',
    items: [
      { label: 'Policies', icon: Scale, to: paths.policies },
      { label: 'Decisions', icon: Gavel, to: paths.decisions },
      { label: 'Violations', icon: ShieldAlert, to: paths.violations },
      { label: 'Budgets', icon: Wallet, to: paths.budgets },
      { label: 'Control', icon: Power, to: paths.control },
      { label: 'Audit log', icon: ScrollText, to: paths.audit },
    ],
  },
  {
    label: 'Admin',
    items: [
      { label: 'Users and roles', icon: Users, to: paths.members },
      { label: 'Service accounts', icon: UserCog, to: paths.accounts },
      { label: 'Secrets', icon: KeyRound, to: paths.secrets },
      { label: 'Settings', icon: Settings, to: paths.settings },
    ],
  },
]

const POLL_MS = 10_000

/** How many wait for a person, as text; null: none. */
function countOf(page: { items: readonly unknown[]; next_cursor: string | null } | undefined): string | null {
  const count = page?.items.length ?? 0
  if (count === 0) return null
  return page?.next_cursor ? `${count}+` : String(count)
}

/** The ways through a project. The numbers of what waits for a person are its only colour. */
export function Rail({ project }: { project: string }) {
  const poll = usePolling(POLL_MS)
  const open = useQuery({ ...openApprovalsQuery(project), refetchInterval: poll })
  const doubt = useInfiniteQuery({ ...uncertainQuery(project), refetchInterval: poll })
  const counts = {
    approvals: countOf(open.data),
    uncertain: countOf(doubt.data?.pages[0]),
  }
  return (
    <nav aria-label="Project" className="overflow-y-auto border-r border-line bg-bg px-2 py-2">
      {GROUPS.map((group) => (
        <div key={group.label} className="mb-3">
          <h2 className="px-2 py-1 text-dense font-medium text-ink-3 max-lg:sr-only">{group.label}</h2>
          {group.items.map((item) => (
            <NavLink
              key={item.label}
              to={item.to(project)}
              aria-label={
                item.counts && counts[item.counts]
                  ? `${item.label}, ${counts[item.counts]} waiting`
                  : item.label
              }
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
              {item.counts && counts[item.counts] ? (
                <span className="ml-auto rounded-sm bg-st-waiting px-1.5 text-meta font-semibold text-on-spark max-lg:absolute max-lg:-top-1 max-lg:right-0 max-lg:px-1">
                  {counts[item.counts]}
                </span>
              ) : null}
            </NavLink>
          ))}
        </div>
      ))}
    </nav>
  )
}
