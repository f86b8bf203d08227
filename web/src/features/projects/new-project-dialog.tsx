import { type FormEvent, useState } from 'react'
import { RequestFailed } from '@/api/problem'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { useCreateProject } from './api'

type NewProjectDialogProps = {
  open: boolean
  onOpenChange: (open: boolean) => void
  onCreated: (slug: string) => void
}

/** The address that a name suggests: `Weather data` gives `weather-data`. */
export function slugOf(name: string): string {
  const plain = name.normalize('NFKD').toLowerCase()
  return plain
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 63)
}

export function NewProjectDialog({ open, onOpenChange, onCreated }: NewProjectDialogProps) {
  const [name, setName] = useState('')
  const [ownSlug, setOwnSlug] = useState<string | null>(null)
  const create = useCreateProject()
  const slug = ownSlug ?? slugOf(name)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    create.mutate({ name: name.trim(), slug }, { onSuccess: (project) => onCreated(project.slug) })
  }
  const taken = create.error instanceof RequestFailed && create.error.status === 409
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="New project">
      <form onSubmit={submit} className="contents">
        <DialogBody>
          <Field label="Name">
            {(wiring) => (
              <Input
                {...wiring}
                required
                maxLength={100}
                value={name}
                onChange={(event) => setName(event.target.value)}
              />
            )}
          </Field>
          <Field
            label="Address"
            hint="Small letters, digits and hyphens, beginning with a letter. It cannot be changed later."
            error={taken ? create.error?.message : undefined}
          >
            {(wiring) => (
              <Input
                {...wiring}
                required
                pattern="[a-z][a-z0-9\-]{1,62}"
                className="font-mono"
                value={slug}
                onChange={(event) => setOwnSlug(event.target.value)}
              />
            )}
          </Field>
          {taken ? null : <ProblemLine error={create.error} />}
        </DialogBody>
        <DialogActions>
          <Button onClick={() => onOpenChange(false)}>Cancel</Button>
          <Button type="submit" variant="primary" disabled={create.isPending}>
            Create project
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  )
}
