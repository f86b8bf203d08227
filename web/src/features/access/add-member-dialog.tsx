import { type FormEvent, useState } from 'react'
import type { Role } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
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
  const submit = (event: FormEvent) => {
    event.preventDefault()
    add.mutate(
      { email: email.trim(), role },
      {
        onSuccess: (member) => {
          toast(`${member.name} is ${ROLE_WORDS[member.role].toLowerCase()} now`)
          onClose()
        },
      },
    )
  }
  const wrong = add.error instanceof RequestFailed && add.error.status === 422 ? add.error.message : undefined
  return (
    <Dialog open onOpenChange={(open) => (open ? null : onClose())} title="Add a member">
      <form onSubmit={submit} className="contents">
        <DialogBody>
          <Field label="E-mail" error={wrong} hint="Of somebody who has been added to the installation.">
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
          <Field label="Role" hint="What it allows stands in the table of this page.">
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
          {wrong ? null : <ProblemLine error={add.error} />}
        </DialogBody>
        <DialogActions>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={add.isPending}>
            Add
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  )
}
