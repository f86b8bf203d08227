import { useQuery } from '@tanstack/react-query'
import { Navigate, useNavigate, useSearchParams } from 'react-router'
import type { Approval } from '@/api/generated/types.gen'
import { usePolling } from '@/api/use-live'
import { useSession } from '@/api/use-session'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { plural } from '@/lib/format'
import { useHotkeys } from '@/lib/hotkeys'
import { openApprovalsQuery } from './api'
import { ApprovalDetail } from './approval-detail'
import { ApprovalList } from './approval-list'
import { arrange, type InboxState, neighbour, readState } from './inbox'
import { doneApprovalsQuery } from './inbox-api'
import { InboxTabs } from './inbox-tabs'

const POLL_MS = 5000

const hrefOf = (state: InboxState, approval: Approval): string => `?state=${state}&item=${approval.id}`

/** The inbox: questions on the left, the chosen one on the right. State and choice are in the address. */
export function InboxView({ project }: { project: string }) {
  const [search] = useSearchParams()
  const state = readState(search.get('state'))
  const item = search.get('item')
  const session = useSession()
  const userId = session.phase === 'in' ? session.user.id : undefined
  const poll = usePolling(POLL_MS)
  const query = state === 'done' ? doneApprovalsQuery(project) : openApprovalsQuery(project)
  const found = useQuery({ ...query, refetchInterval: poll })
  const listed = arrange(found.data?.items ?? [], state, userId)
  useListKeys(listed, item, state)
  const first = listed[0]
  // Chosen by the address from the start: what arrives or is answered later must not change what is being read.
  if (item === null && first) return <Navigate to={hrefOf(state, first)} replace />
  return (
    <div className="flex min-h-0 flex-1 max-md:flex-col">
      <div className="flex w-[340px] shrink-0 flex-col overflow-y-auto border-r border-line max-md:max-h-[40vh] max-md:w-full max-md:border-b">
        <InboxTabs project={project} state={state} userId={userId} />
        {found.isPending ? <SkeletonRows rows={6} height={64} /> : null}
        {found.isError && !found.data ? (
          <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
        ) : null}
        <ApprovalList
          approvals={listed}
          selectedId={item}
          userId={userId}
          hrefOf={(approval) => hrefOf(state, approval)}
        />
        {found.data && item !== null && listed.length === 0 ? (
          <p className="px-4 py-3 text-ink-2">{NOTHING[state]}</p>
        ) : null}
        {found.data?.next_cursor ? (
          <p className="px-4 py-2 text-dense text-ink-3">
            Only the newest {found.data.items.length} are listed.
          </p>
        ) : null}
      </div>
      <div className="min-w-0 flex-1 overflow-y-auto">
        {item === null && found.data ? <Nothing project={project} state={state} /> : null}
        {item === null ? null : <ApprovalDetail key={item} project={project} id={item} userId={userId} />}
      </div>
    </div>
  )
}

function useListKeys(listed: readonly Approval[], item: string | null, state: InboxState): void {
  const navigate = useNavigate()
  const move = (by: 1 | -1) => {
    const next = neighbour(listed, item, by)
    if (next) void navigate(hrefOf(state, next), { replace: true })
  }
  useHotkeys('Approvals', [
    { keys: 'j', label: 'Next approval', run: () => move(1) },
    { keys: 'k', label: 'Previous approval', run: () => move(-1) },
  ])
}

const NOTHING = {
  mine: 'Nothing is waiting for you.',
  open: 'Nothing is waiting for anybody.',
  done: 'Nothing has been answered yet.',
} satisfies Record<InboxState, string>

function Nothing({ project, state }: { project: string; state: InboxState }) {
  const done = useQuery(doneApprovalsQuery(project))
  const open = useQuery(openApprovalsQuery(project))
  const others = state === 'mine' ? (open.data?.items.length ?? 0) : 0
  const last = state === 'done' ? undefined : done.data?.items.find((one) => one.decided_by !== null)
  return (
    <Empty title={NOTHING[state]}>
      {others > 0 ? (
        <p>
          {plural(others, 'other question')} {others === 1 ? 'is' : 'are'} waiting for somebody else.
        </p>
      ) : null}
      {last?.decided_at ? (
        <p>
          Last answered: {last.title} ({last.decided_by?.name}, <Moment at={last.decided_at} />)
        </p>
      ) : (
        <p>
          When a policy or a budget holds something back, or a workflow asks a person, the question appears
          here at once.
        </p>
      )}
    </Empty>
  )
}
