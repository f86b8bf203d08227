import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { cn } from '@/lib/cn'
import { openApprovalsQuery } from './api'
import { arrange, INBOX_STATES, type InboxState } from './inbox'

const LABELS = { mine: 'For you', open: 'All open', done: 'Done' } satisfies Record<InboxState, string>

type InboxTabsProps = { project: string; state: InboxState; userId: string | undefined }

/** Which questions are listed. */
export function InboxTabs({ project, state, userId }: InboxTabsProps) {
  const open = useQuery(openApprovalsQuery(project))
  const countOf = (tab: InboxState): number | null =>
    tab === 'done' || !open.data ? null : arrange(open.data.items, tab, userId).length
  return (
    <nav
      aria-label="Which approvals"
      className="sticky top-0 z-10 flex shrink-0 gap-4 border-b border-line bg-surface px-4"
    >
      {INBOX_STATES.map((tab) => (
        <Link
          key={tab}
          to={`?state=${tab}`}
          aria-current={tab === state ? 'page' : undefined}
          className={cn(
            '-mb-px flex h-9 items-center gap-2 border-b-2 border-transparent whitespace-nowrap text-ink-2 hover:text-ink',
            'aria-[current]:border-ink aria-[current]:font-semibold aria-[current]:text-ink',
          )}
        >
          {LABELS[tab]}
          {countOf(tab) === null ? null : <span className="font-normal text-ink-3">{countOf(tab)}</span>}
        </Link>
      ))}
    </nav>
  )
}
