import { useState } from 'react'
import type { Secret } from '@/api/generated/types.gen'
import { ConfirmDialog, DialogForm } from '@/components/dialog-form'
import { Dialog } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { useArchiveSecret, useCreateSecret, useNewVersion } from './api'
import { nameProblem, valueProblem } from './rules'
import { ValueField } from './value-field'

type OpenProps = { open: boolean; onOpenChange: (open: boolean) => void }

export function NewSecretDialog({
  project,
  onMade,
  ...open
}: OpenProps & { project: string; onMade: (made: Secret) => void }) {
  return (
    <Dialog {...open} title="New secret">
      <NewForm project={project} onClose={() => open.onOpenChange(false)} onMade={onMade} />
    </Dialog>
  )
}

type NewFormProps = { project: string; onClose: () => void; onMade: (made: Secret) => void }

function NewForm({ project, onClose, onMade }: NewFormProps) {
  const [name, setName] = useState('')
  const [value, setValue] = useState('')
  const [description, setDescription] = useState('')
  const [checked, setChecked] = useState(false)
  const create = useCreateSecret()
  const wrongName = nameProblem(name)
  const wrongValue = valueProblem(value)
  const submit = () => {
    setChecked(true)
    if (wrongName || wrongValue) return
    create.mutate({ project, name, value, description }, { onSuccess: onMade })
  }
  return (
    <DialogForm
      action="Keep secret"
      pending={create.isPending}
      error={create.error}
      onCancel={onClose}
      onSubmit={submit}
    >
      <Field
        label="Name"
        required
        hint={name && !wrongName ? `Workflows refer to it by secret://${name}` : 'It never changes.'}
        error={(checked && wrongName) || undefined}
      >
        {(wiring) => (
          <Input
            {...wiring}
            autoComplete="off"
            spellCheck={false}
            maxLength={63}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <ValueField value={value} error={(checked && wrongValue) || undefined} onChange={setValue} />
      <Field label="What it is for">
        {(wiring) => (
          <Input
            {...wiring}
            maxLength={500}
            value={description}
            onChange={(event) => setDescription(event.target.value)}
          />
        )}
      </Field>
    </DialogForm>
  )
}

export function NewVersionDialog({ secret, ...open }: OpenProps & { secret: Secret }) {
  return (
    <Dialog {...open} title={`New version of ${secret.name}`}>
      <VersionForm secret={secret} onClose={() => open.onOpenChange(false)} />
    </Dialog>
  )
}

function VersionForm({ secret, onClose }: { secret: Secret; onClose: () => void }) {
  const [value, setValue] = useState('')
  const [checked, setChecked] = useState(false)
  const put = useNewVersion(secret.id)
  const wrong = valueProblem(value)
  const submit = () => {
    setChecked(true)
    if (wrong) return
    put.mutate(value, {
      onSuccess: (made) => {
        onClose()
        toast(`Version ${made.latest_version} holds from the next call on`)
      },
    })
  }
  return (
    <DialogForm
      action={`Put version ${secret.latest_version + 1}`}
      pending={put.isPending}
      error={put.error}
      onCancel={onClose}
      onSubmit={submit}
    >
      <p className="text-ink-2">
        Calls that are made from now on get it. Version {secret.latest_version} stays, for whoever refers to
        it by {secret.reference}?version={secret.latest_version}.
      </p>
      <ValueField value={value} error={(checked && wrong) || undefined} onChange={setValue} />
    </DialogForm>
  )
}

type ArchiveProps = OpenProps & { secret: Secret; workflows: number }

export function ArchiveDialog({ secret, workflows, open, onOpenChange }: ArchiveProps) {
  const archive = useArchiveSecret(secret.id)
  const close = () => onOpenChange(false)
  const act = () =>
    archive.mutate(undefined, {
      onSuccess: () => {
        close()
        toast('Archived: nothing can refer to it any more')
      },
    })
  return (
    <ConfirmDialog
      open={open}
      onClose={close}
      title={`Archive ${secret.name}?`}
      cancel="Keep it"
      action="Archive"
      danger
      pending={archive.isPending}
      error={archive.error}
      onConfirm={act}
    >
      <p>
        Calls that refer to it fail from now on
        {workflows > 0
          ? `; ${workflows === 1 ? 'one workflow does' : `${workflows} workflows do`}.`
          : '. No workflow does in its latest version.'}{' '}
        It can be restored.
      </p>
    </ConfirmDialog>
  )
}
