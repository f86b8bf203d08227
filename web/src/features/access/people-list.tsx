import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Person } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Input } from '@/components/ui/input'
import { UserActions } from '@/features/identity/user-actions'
import { peopleQuery } from './api'

const COLUMNS: ReadonlyArray<Column<Person>> = [
  { id: 'name', header: 'Name', cell: (row) => <span className="font-medium">{row.name}</span> },
  { id: 'email', header: 'E-mail', cell: (row) => row.email },
  {
    id: 'admin',
    header: 'Installation',
    width: '140px',
    cell: (row) => (row.is_admin ? 'Administrator' : ''),
  },
  { id: 'projects', header: 'Projects', width: '90px', align: 'end', cell: (row) => row.projects },
  {
    id: 'state',
    header: 'May sign in',
    width: '240px',
    cell: (row) =>
      row.disabled_at ? (
        <>
          No, disabled <Moment at={row.disabled_at} />
        </>
      ) : (
        'Yes'
      ),
  },
  {
    id: 'created',
    header: 'Added',
    width: '200px',
    wideOnly: true,
    cell: (row) => <Moment at={row.created_at} />,
  },
  {
    id: 'actions',
    header: 'Action',
    width: '72px',
    align: 'end',
    cell: (row) => <UserActions person={row} />,
  },
]

/** The people of the installation. */
export function PeopleList() {
  const [part, setPart] = useState('')
  const found = useInfiniteQuery(peopleQuery(part.trim()))
  const people = found.data?.pages.flatMap((page) => page.items)
  return (
    <>
      <div className="border-b border-line px-4 py-2">
        <Input
          type="search"
          aria-label="Find people"
          placeholder="Name or e-mail"
          className="max-w-72"
          value={part}
          maxLength={100}
          onChange={(event) => setPart(event.target.value)}
        />
      </div>
      {found.isError && !people ? (
        <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
      ) : !people ? (
        <SkeletonRows />
      ) : people.length === 0 ? (
        <Empty
          title="Nobody is called so"
          action={<Button onClick={() => setPart('')}>Show everybody</Button>}
        />
      ) : (
        <DataTable label="People" columns={COLUMNS} rows={people} keyOf={(row) => row.id} />
      )}
      {found.hasNextPage ? (
        <div className="px-4 py-3">
          <Button disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            Show more
          </Button>
        </div>
      ) : null}
    </>
  )
}
