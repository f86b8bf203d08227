import { useQuery } from '@tanstack/react-query'
import type { OwnSession } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { plural } from '@/lib/format'
import { sessionsQuery, useEndOtherSessions, useEndSession } from './api'

const COLUMNS: ReadonlyArray<Column<OwnSession>> = [
  {
    id: 'device',
    header: 'Browser',
    cell: (row) => (
      <span>
        {row.device ?? 'Did not say'}
        {row.current ? <span className="ml-2 font-medium">This one</span> : null}
      </span>
    ),
  },
  {
    id: 'address',
    header: 'Address',
    width: '200px',
    cell: (row) => <code className="font-mono text-dense">{row.address ?? ''}</code>,
  },
  { id: 'used', header: 'Last used', width: '160px', cell: (row) => <Moment at={row.used_at} /> },
  {
    id: 'since',
    header: 'Signed in',
    width: '160px',
    cell: (row) => <Moment at={row.created_at} />,
    wideOnly: true,
  },
  { id: 'end', header: 'Action', acts: true, width: '110px', align: 'end', cell: (row) => <End row={row} /> },
]

/** Where the caller is signed in, and the way to end it there. */
export function SessionList() {
  const sessions = useQuery(sessionsQuery)
  const endOthers = useEndOtherSessions()
  const rows = sessions.data?.items ?? []
  const endAll = () =>
    endOthers.mutate(undefined, {
      onSuccess: ({ ended }) => toast(`${plural(ended, 'session')} ended`),
      onError: (error) => toast(asProblem(error).detail, { bad: true }),
    })
  return (
    <section aria-label="Sessions">
      <div className="flex flex-wrap items-end justify-between gap-x-4 gap-y-2 px-4 pt-2 pb-2">
        <div>
          <h2 className="text-section font-semibold">Sessions</h2>
          <p className="text-ink-2">
            Where you are signed in. One that you do not know: end it, and change your password.
          </p>
        </div>
        {rows.length > 1 ? (
          <Button disabled={endOthers.isPending} onClick={endAll}>
            End all others
          </Button>
        ) : null}
      </div>
      {sessions.isPending ? <SkeletonRows rows={2} /> : null}
      {sessions.isError ? (
        <ProblemPanel error={sessions.error} onRetry={() => void sessions.refetch()} />
      ) : null}
      {sessions.isSuccess ? (
        <DataTable label="Sessions" columns={COLUMNS} rows={rows} keyOf={(row) => row.id} />
      ) : null}
    </section>
  )
}

function End({ row }: { row: OwnSession }) {
  const end = useEndSession()
  if (row.current) return null
  const act = () =>
    end.mutate(row.id, {
      onSuccess: () => toast('Session ended'),
      onError: (error) => toast(asProblem(error).detail, { bad: true }),
    })
  return (
    <Button size="sm" disabled={end.isPending} onClick={act}>
      End
    </Button>
  )
}
