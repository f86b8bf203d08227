import { useInfiniteQuery } from '@tanstack/react-query'
import type { OutboxEntry } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { shortId } from '@/lib/format'
import { undeliveredQuery, useSendAgain } from './api'

const COLUMNS: ReadonlyArray<Column<OutboxEntry>> = [
  { id: 'to', header: 'Subscription', width: '22%', cell: (entry) => entry.subscription },
  {
    id: 'event',
    header: 'Event',
    width: '24%',
    cell: (entry) => (
      <>
        <code className="font-mono text-dense">{entry.kind}</code>{' '}
        <span className="text-ink-3">
          {entry.seq} of run {shortId(entry.run_id)}
        </span>
      </>
    ),
  },
  {
    id: 'why',
    header: 'Why not',
    cell: (entry) => <span title={entry.error?.message}>{entry.error?.message}</span>,
  },
  { id: 'tries', header: 'Tries', width: '64px', align: 'end', cell: (entry) => entry.attempt },
  {
    id: 'given-up',
    header: 'Given up',
    width: '132px',
    cell: (entry) => (entry.ended_at ? <Moment at={entry.ended_at} /> : ''),
  },
  { id: 'again', header: 'Action', width: '120px', align: 'end', cell: (entry) => <Again id={entry.id} /> },
]

/** The events that could not be delivered to a subscription, to be sent again. For administrators. */
export function Undelivered() {
  const found = useInfiniteQuery(undeliveredQuery)
  if (found.isError && !found.data) {
    return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  }
  const entries = found.data?.pages.flatMap((page) => page.items) ?? []
  if (entries.length === 0) {
    return (
      <p className="px-4 py-3 text-ink-2">
        {found.isPending ? '' : 'Every event was delivered, or is still being tried.'}
      </p>
    )
  }
  return (
    <>
      <DataTable label="Undelivered events" columns={COLUMNS} rows={entries} keyOf={(entry) => entry.id} />
      {found.hasNextPage ? (
        <Button className="m-3" onClick={() => void found.fetchNextPage()}>
          Load more
        </Button>
      ) : null}
    </>
  )
}

function Again({ id }: { id: string }) {
  const send = useSendAgain()
  const act = () =>
    send.mutate(id, {
      onSuccess: () => toast('Sent again'),
      onError: (error) => toast(asProblem(error).detail, { bad: true }),
    })
  return (
    <Button size="sm" disabled={send.isPending} onClick={act}>
      Send again
    </Button>
  )
}
