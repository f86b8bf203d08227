import { useState } from 'react'
import type { UserLink } from '@/api/generated/types.gen'
import { DialogForm } from '@/components/dialog-form'
import { Dialog } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { useInviteUser } from './api'
import { elsewhere, saidAbout } from './fields'

type InviteDialogProps = {
  open: boolean
  onOpenChange: (open: boolean) => void
  onInvited: (made: UserLink) => void
}

/** Adds a person to the installation, who chooses a password through a link. */
export function InviteDialog({ open, onOpenChange, onInvited }: InviteDialogProps) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Invite a person">
      <Form onCancel={() => onOpenChange(false)} onInvited={onInvited} />
    </Dialog>
  )
}

function Form({ onCancel, onInvited }: { onCancel: () => void; onInvited: (made: UserLink) => void }) {
  const [email, setEmail] = useState('')
  const [name, setName] = useState('')
  const [isAdmin, setIsAdmin] = useState(false)
  const invite = useInviteUser()
  const submit = () =>
    invite.mutate({ email: email.trim(), name: name.trim(), is_admin: isAdmin }, { onSuccess: onInvited })
  return (
    <DialogForm
      validate
      action="Invite"
      pending={invite.isPending}
      error={elsewhere(invite.error, 'email')}
      onCancel={onCancel}
      onSubmit={submit}
    >
      <Field label="E-mail" error={saidAbout(invite.error, 'email')}>
        {(wiring) => (
          <Input
            {...wiring}
            type="email"
            required
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
        )}
      </Field>
      <Field label="Name">
        {(wiring) => (
          <Input {...wiring} maxLength={200} value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <label className="flex items-center gap-2">
        <input type="checkbox" checked={isAdmin} onChange={(event) => setIsAdmin(event.target.checked)} />
        Administrator of the installation
      </label>
    </DialogForm>
  )
}
