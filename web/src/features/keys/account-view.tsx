import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { Role, ServiceAccount } from '@/api/generated/types.gen'
import { PageHeader } from '@/components/page'
import { Paged } from '@/components/paged'
import { ProblemLine } from '@/components/problem-panel'
import { Empty } from '@/components/states'
import { Dialog } from '@/components/ui/dialog'
import { Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { ROLE_WORDS, useRefusal } from '@/features/access/may'
import { PermittedButton } from '@/features/access/permitted-button'
import { paths } from '@/lib/paths'
import { accountKeysQuery, useChangeAccount, useCreateAccountKey, useRevokeAccountKey } from './api'
import { KeyForm } from './key-form'
import { KeyList } from './key-list'
import { ShownKey } from './shown-key'
import { ACCOUNT_ROLES } from './words'

type AccountProps = { project: string; account: ServiceAccount }

/** One service account: its role, whether it is enabled, and its keys. */
export function AccountView({ project, account }: AccountProps) {
  const found = useInfiniteQuery(accountKeysQuery(project, account.id))
  const [making, setMaking] = useState(false)
  const revoking = useRevokeAccountKey(project, account.id)
  return (
    <>
      <PageHeader
        within={{ to: paths.accounts(project), label: 'Service accounts' }}
        title={account.name}
        facts={account.disabled_at ? 'Disabled: its keys are refused' : 'It acts in this project by its keys'}
        actions={
          <>
            <AccountSwitches project={project} account={account} />
            <PermittedButton
              permission="account:manage"
              variant="primary"
              disabled={account.role === null}
              onClick={() => setMaking(true)}
            >
              New key
            </PermittedButton>
          </>
        }
      />
      <Paged
        found={found}
        skeleton={4}
        empty={<Empty title="No keys yet">It can do nothing without one.</Empty>}
      >
        {(keys) => <KeyList keys={keys} revoking={revoking} permission="account:manage" oneProject />}
      </Paged>
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

function AccountSwitches({ project, account }: AccountProps) {
  const refused = useRefusal(project)('account:manage')
  const change = useChangeAccount(project, account.id)
  const disabled = account.disabled_at !== null
  return (
    <>
      <ProblemLine error={change.error} />
      <Select
        aria-label="Role"
        className="w-32"
        title={refused ?? undefined}
        disabled={refused !== null || change.isPending}
        value={account.role ?? ''}
        onChange={(event) =>
          change.mutate({ role: event.target.value as Role }, { onSuccess: () => toast('Role changed') })
        }
      >
        {account.role === null ? <option value="">No role</option> : null}
        {ACCOUNT_ROLES.map((one) => (
          <option key={one} value={one}>
            {ROLE_WORDS[one]}
          </option>
        ))}
      </Select>
      <PermittedButton
        permission="account:manage"
        disabled={change.isPending}
        onClick={() =>
          change.mutate(
            { disabled: !disabled },
            { onSuccess: () => toast(disabled ? 'Account enabled' : 'Account disabled') },
          )
        }
      >
        {disabled ? 'Enable' : 'Disable'}
      </PermittedButton>
    </>
  )
}

type NewAccountKeyProps = AccountProps & {
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
