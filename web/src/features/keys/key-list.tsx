import { useState } from 'react'
import type { ApiKey } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { Moment } from '@/components/moment'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { toast } from '@/components/ui/toast'
import { STATUSES } from './words'

type Revoking = {
  mutate: (id: string, options: { onSuccess: () => void }) => void
  isPending: boolean
  error: Error | null
}
type KeyListProps = {
  keys: readonly ApiKey[]
  /** How a key is revoked; null: whoever looks may not. */
  revoking: Revoking | null
  /** Leave out the projects where they are all the same. */
  oneProject?: boolean
}

/** Keys with what they may do and when they were last used. */
export function KeyList({ keys, revoking, oneProject = false }: KeyListProps) {
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
            cell: (key: ApiKey) => key.projects.join(', '),
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
    { id: 'used', header: 'Last used', width: '200px', cell: (key) => <LastUsed of={key} /> },
    {
      id: 'ends',
      header: 'Ends',
      width: '120px',
      cell: (key) =>
        key.expires_at ? <Moment at={key.expires_at} /> : <span className="text-ink-3">Never</span>,
    },
    {
      id: 'status',
      header: 'Status',
      width: '96px',
      align: 'end',
      cell: (key) =>
        key.status === 'active' && revoking ? (
          <Button size="sm" variant="danger" aria-label={`Revoke ${key.name}`} onClick={() => setAsked(key)}>
            Revoke
          </Button>
        ) : (
          <span className={key.status === 'active' ? undefined : 'text-ink-3'}>{STATUSES[key.status]}</span>
        ),
    },
  ]
  return (
    <>
      <DataTable label="API keys" columns={columns} rows={keys} keyOf={(key) => key.id} />
      {revoking ? <RevokeDialog asked={asked} revoking={revoking} onClose={() => setAsked(null)} /> : null}
    </>
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
    <Dialog
      open={asked !== null}
      onOpenChange={(open) => (open ? undefined : onClose())}
      title="Revoke this key?"
    >
      <DialogBody>
        <p>
          Whatever uses <span className="font-medium">{asked?.name}</span> is refused from its next request
          on. This cannot be taken back; make another key instead.
        </p>
        <ProblemLine error={revoking.error} />
      </DialogBody>
      <DialogActions>
        <Button onClick={onClose}>Keep it</Button>
        <Button variant="danger" disabled={revoking.isPending} onClick={revoke}>
          Revoke key
        </Button>
      </DialogActions>
    </Dialog>
  )
}
