import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Role, ServiceAccount } from '@/api/generated/types.gen'
import { PageHeader } from '@/components/page'
import { ProblemLine, ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Dialog } from '@/components/ui/dialog'
import { Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { accountKeysQuery, useChangeAccount, useCreateAccountKey, useRevokeAccountKey } from './api'
import { KeyForm } from './key-form'
import { KeyList } from './key-list'
import { ShownKey } from './shown-key'
import { ACCOUNT_ROLES, ROLES } from './words'

type AccountViewProps = {
  project: string
  account: ServiceAccount
  /** Whether whoever looks may change the account and its keys. */
  manages: boolean
}

/** One service account: its role, whether it is enabled, and its keys. */
export function AccountView({ project, account, manages }: AccountViewProps) {
  const found = useInfiniteQuery(accountKeysQuery(project, account.id))
  const [making, setMaking] = useState(false)
  const revoking = useRevokeAccountKey(project, account.id)
  const keys = found.data?.pages.flatMap((page) => page.items) ?? []
  const can = manages && account.role !== null
  return (
    <>
      <PageHeader
        title={account.name}
        facts={account.disabled_at ? 'Disabled: its keys are refused' : 'Service account of this project'}
        actions={
          manages ? (
            <>
              <AccountSwitches project={project} account={account} />
              <Button variant="primary" disabled={!can} onClick={() => setMaking(true)}>
                New key
              </Button>
            </>
          ) : undefined
        }
      />
      {found.isPending ? <SkeletonRows rows={4} /> : null}
      {found.isError && !found.data ? (
        <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
      ) : null}
      {found.data && keys.length === 0 ? (
        <Empty title="No keys yet">It can do nothing without one.</Empty>
      ) : null}
      {keys.length > 0 ? <KeyList keys={keys} revoking={manages ? revoking : null} oneProject /> : null}
      {found.hasNextPage ? (
        <Button className="m-3" onClick={() => void found.fetchNextPage()}>
          Load more
        </Button>
      ) : null}
      {account.role ? (
        <NewAccountKey
          project={project}
          account={account}
          role={account.role}
          open={making}
          onClose={() => setMaking(false)}
        />
      ) : null}
    </>
  )
}

function AccountSwitches({ project, account }: { project: string; account: ServiceAccount }) {
  const change = useChangeAccount(project, account.id)
  const disabled = account.disabled_at !== null
  return (
    <>
      <ProblemLine error={change.error} />
      <Select
        aria-label="Role"
        className="w-32"
        disabled={change.isPending}
        value={account.role ?? ''}
        onChange={(event) =>
          change.mutate({ role: event.target.value as Role }, { onSuccess: () => toast('Role changed') })
        }
      >
        {account.role === null ? <option value="">No role</option> : null}
        {ACCOUNT_ROLES.map((one) => (
          <option key={one} value={one}>
            {ROLES[one]}
          </option>
        ))}
      </Select>
      <Button
        disabled={change.isPending}
        onClick={() =>
          change.mutate(
            { disabled: !disabled },
            { onSuccess: () => toast(disabled ? 'Account enabled' : 'Account disabled') },
          )
        }
      >
        {disabled ? 'Enable' : 'Disable'}
      </Button>
    </>
  )
}

type NewAccountKeyProps = {
  project: string
  account: ServiceAccount
  role: Role
  open: boolean
  onClose: () => void
}

function NewAccountKey({ project, account, role, open, onClose }: NewAccountKeyProps) {
  const create = useCreateAccountKey(project, account.id)
  const close = () => {
    create.reset()
    onClose()
  }
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => (next ? undefined : close())}
      title={create.data ? `Key ${create.data.name}` : `New key of ${account.name}`}
    >
      {create.data ? (
        <ShownKey text={create.data.key} onDone={close} />
      ) : (
        <KeyForm
          projects={null}
          role={role}
          saving={create.isPending}
          error={create.error}
          onClose={close}
          onSave={({ name, scopes, expires_in_days }) => create.mutate({ name, scopes, expires_in_days })}
        />
      )}
    </Dialog>
  )
}
