import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Role, ServiceAccount } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { DialogForm } from '@/components/dialog-form'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Dialog } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input, Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { ROLE_WORDS } from '@/features/access/may'
import { paths } from '@/lib/paths'
import { accountsQuery, useCreateAccount } from './api'
import { ACCOUNT_ROLES } from './words'

const COLUMNS: ReadonlyArray<Column<ServiceAccount>> = [
  { id: 'name', header: 'Name', cell: (row) => <span className="font-medium">{row.name}</span> },
  { id: 'role', header: 'Role', width: '140px', cell: (row) => (row.role ? ROLE_WORDS[row.role] : 'None') },
  {
    id: 'state',
    header: 'State',
    width: '140px',
    cell: (row) => (row.disabled_at ? <span className="text-ink-3">Disabled</span> : 'Enabled'),
  },
  { id: 'created', header: 'Created', width: '200px', cell: (row) => <Moment at={row.created_at} /> },
]

/** The service accounts of a project, in all states. */
export function AccountList({ project }: { project: string }) {
  const accounts = useQuery(accountsQuery(project))
  if (accounts.isPending) return <SkeletonRows rows={4} />
  if (!accounts.data) return <ProblemPanel error={accounts.error} onRetry={() => void accounts.refetch()} />
  if (accounts.data.items.length === 0) {
    return (
      <Empty title="No service accounts yet">
        A service account acts in this project by its keys alone, in a role of its own. It stays when people
        leave.
      </Empty>
    )
  }
  return (
    <DataTable
      label="Service accounts"
      columns={COLUMNS}
      rows={accounts.data.items}
      keyOf={(row) => row.id}
      linkTo={(row) => paths.account(project, row.id)}
      linkLabel={(row) => row.name}
    />
  )
}

type NewAccountProps = { project: string; open: boolean; onClose: () => void; onMade: (id: string) => void }

export function NewAccountDialog({ project, open, onClose, onMade }: NewAccountProps) {
  const [name, setName] = useState('')
  const [role, setRole] = useState<Role>('developer')
  const create = useCreateAccount(project)
  const submit = () =>
    create.mutate(
      { name: name.trim(), role },
      {
        onSuccess: (made) => {
          toast('Service account added')
          onMade(made.id)
        },
      },
    )
  return (
    <Dialog open={open} onOpenChange={(next) => (next ? undefined : onClose())} title="New service account">
      <DialogForm
        validate
        action="Add service account"
        pending={create.isPending}
        error={create.error}
        onCancel={onClose}
        onSubmit={submit}
      >
        <Field label="Name" hint="Small letters, digits and hyphens, beginning with a letter.">
          {(wiring) => (
            <Input
              {...wiring}
              required
              pattern="[a-z][a-z0-9\-]{0,62}"
              className="font-mono"
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <Field label="Role" hint="Its keys never may more than this. Questions to people it never answers.">
          {(wiring) => (
            <Select {...wiring} value={role} onChange={(event) => setRole(event.target.value as Role)}>
              {ACCOUNT_ROLES.map((one) => (
                <option key={one} value={one}>
                  {ROLE_WORDS[one]}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </DialogForm>
    </Dialog>
  )
}
