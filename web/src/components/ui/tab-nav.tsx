import { NavLink, useLocation } from 'react-router'
import { cn } from '@/lib/cn'

export type Tab = { to: string; label: string; count?: number | string | undefined }

/** Tabs whose state is the address: links, with the search kept. */
export function TabNav({ label, tabs }: { label: string; tabs: readonly Tab[] }) {
  const { search } = useLocation()
  return (
    <nav
      aria-label={label}
      className="flex shrink-0 gap-4 overflow-x-auto border-b border-line bg-surface px-4"
    >
      {tabs.map((tab) => (
        <NavLink
          key={tab.to}
          to={{ pathname: tab.to, search }}
          className={({ isActive }) =>
            cn(
              '-mb-px flex h-9 items-center gap-2 border-b-2 border-transparent whitespace-nowrap text-ink-2 hover:text-ink',
              isActive && 'border-ink font-semibold text-ink',
            )
          }
        >
          {tab.label}
          {tab.count === undefined ? null : <span className="font-normal text-ink-3">{tab.count}</span>}
        </NavLink>
      ))}
    </nav>
  )
}
