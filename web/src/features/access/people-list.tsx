import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Person } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { Paged } from '@/components/paged'
import { Empty } from '@/components/states'
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
    id: 'factor',
    header: 'Second factor',
    width: '120px',
    cell: (row) => (row.has_factor ? 'Yes' : ''),
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
    acts: true,
    width: '56px',
    align: 'end',
    cell: (row) => <UserActions person={row} />,
  },
]

/** The people of the installation. */
export function PeopleList() {
  const [part, setPart] = useState('')
  const found = useInfiniteQuery(peopleQuery(part.trim()))
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
      <Paged
        found={found}
        skeleton={12}
        empty={
          <Empty
            title="Nobody is called so"
            action={<Button onClick={() => setPart('')}>Show everybody</Button>}
          />
        }
      >
        {(people) => <DataTable label="People" columns={COLUMNS} rows={people} keyOf={(row) => row.id} />}
      </Paged>
    </>
  )
}
