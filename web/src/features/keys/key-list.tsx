import { useState } from 'react'
import type { ApiKey, Permission } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { ConfirmDialog } from '@/components/dialog-form'
import { Moment } from '@/components/moment'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { STATUSES } from './words'

type Revoking = {
  mutate: (id: string, options: { onSuccess: () => void }) => void
  isPending: boolean
  error: Error | null
}
type KeyListProps = {
  keys: readonly ApiKey[]
  revoking: Revoking
  /** What it takes in the project of the page to revoke one; without it, they are one's own. */
  permission?: Permission
  /** Leave out the projects where they are all the same. */
  oneProject?: boolean
}

/** Keys with what they may do and when they were last used. */
export function KeyList({ keys, revoking, permission, oneProject = false }: KeyListProps) {
  const [asked, setAsked] = useState<ApiKey | null>(null)
  const columns: ReadonlyArray<Column<ApiKey>> = [
    {
      id: 'name',
      header: 'Name',
      width: '18%',
      cell: (key) => <span className="font-medium">{key.name}</span>,
    },
    {
      id: 'prefix',
      header: 'Begins with',
      width: '150px',
      cell: (key) => <code className="font-mono text-dense">{key.prefix}</code>,
    },
    ...(oneProject
      ? []
      : [
          {
            id: 'projects',
            header: 'Projects',
            width: '14%',
            cell: (key: ApiKey) =>
              key.projects.length > 0 ? key.projects.join(', ') : <span className="text-ink-3">None</span>,
          },
        ]),
    {
      id: 'scopes',
      header: 'May',
      wideOnly: true,
      cell: (key) => (
        <span className="font-mono text-dense text-ink-2" title={key.scopes.join(', ')}>
          {key.scopes.join(', ')}
        </span>
      ),
    },
    { id: 'used', header: 'Last used', width: '184px', cell: (key) => <LastUsed of={key} /> },
    {
      id: 'ends',
      header: 'Ends',
      width: '172px',
      cell: (key) =>
        key.expires_at ? <Moment at={key.expires_at} /> : <span className="text-ink-3">Never</span>,
    },
    {
      id: 'status',
      header: 'Status',
      acts: true,
      width: '96px',
      align: 'end',
      cell: (key) =>
        key.status === 'active' ? (
          <RevokeButton permission={permission} name={key.name} onClick={() => setAsked(key)} />
        ) : (
          <span className="text-ink-3">{STATUSES[key.status]}</span>
        ),
    },
  ]
  return (
    <>
      <DataTable label="API keys" columns={columns} rows={keys} keyOf={(key) => key.id} />
      <RevokeDialog asked={asked} revoking={revoking} onClose={() => setAsked(null)} />
    </>
  )
}

type RevokeButtonProps = { permission: Permission | undefined; name: string; onClick: () => void }

function RevokeButton({ permission, name, onClick }: RevokeButtonProps) {
  const look = { size: 'sm', variant: 'danger', 'aria-label': `Revoke ${name}`, onClick } as const
  return permission ? (
    <PermittedButton permission={permission} {...look}>
      Revoke
    </PermittedButton>
  ) : (
    <Button {...look}>Revoke</Button>
  )
}

function LastUsed({ of }: { of: ApiKey }) {
  if (of.last_used_at === null) return <span className="text-ink-3">Never</span>
  return (
    <>
      <Moment at={of.last_used_at} /> <span className="text-ink-3">{of.last_used_from}</span>
    </>
  )
}

type RevokeDialogProps = { asked: ApiKey | null; revoking: Revoking; onClose: () => void }

function RevokeDialog({ asked, revoking, onClose }: RevokeDialogProps) {
  const revoke = () => {
    if (asked === null) return
    revoking.mutate(asked.id, {
      onSuccess: () => {
        onClose()
        toast('Key revoked')
      },
    })
  }
  return (
    <ConfirmDialog
      open={asked !== null}
      onClose={onClose}
      title="Revoke this key?"
      cancel="Keep it"
      action="Revoke key"
      danger
      pending={revoking.isPending}
      error={revoking.error}
      onConfirm={revoke}
    >
      <p>
        Whatever uses <span className="font-medium">{asked?.name}</span> is refused from its next request on.
        This cannot be taken back; make another key instead.
      </p>
    </ConfirmDialog>
  )
}
