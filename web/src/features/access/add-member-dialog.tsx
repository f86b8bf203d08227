import { useState } from 'react'
import type { Role } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import { DialogForm } from '@/components/dialog-form'
import { Dialog } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input, Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { useAddMember } from './api'
import { ROLE_WORDS, useRole } from './may'

/** Makes somebody of the installation a member of a project. */
export function AddMemberDialog({ project, onClose }: { project: string; onClose: () => void }) {
  const [email, setEmail] = useState('')
  const [role, setRole] = useState<Role>('developer')
  const own = useRole(project)
  const add = useAddMember(project)
  const submit = () =>
    add.mutate(
      { email: email.trim(), role },
      {
        onSuccess: (member) => {
          toast(`${member.name} is ${ROLE_WORDS[member.role].toLowerCase()} now`)
          onClose()
        },
      },
    )
  const wrong = add.error instanceof RequestFailed && add.error.status === 422 ? add.error.message : undefined
  return (
    <Dialog open onOpenChange={(open) => (open ? null : onClose())} title="Add a member">
      <DialogForm
        validate
        action="Add"
        pending={add.isPending}
        error={wrong ? null : add.error}
        onCancel={onClose}
        onSubmit={submit}
      >
        <Field label="E-mail" error={wrong} hint="Of somebody who has an account in this installation.">
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
        <Field label="Role" hint="What each role allows stands below the members.">
          {(wiring) => (
            <Select {...wiring} value={role} onChange={(event) => setRole(event.target.value as Role)}>
              {(Object.keys(ROLE_WORDS) as Role[])
                .filter((one) => one !== 'owner' || own === 'owner')
                .map((one) => (
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
