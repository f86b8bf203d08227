import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import type { Approval } from '@/api/generated/types.gen'
import { LineDiff } from '@/components/code/line-diff'
import { ProblemLine } from '@/components/problem-panel'
import { type Draft, draftOf, readDraft } from '@/components/schema-form/draft'
import { readSchema, type Schema } from '@/components/schema-form/schema'
import { SchemaFields } from '@/components/schema-form/schema-fields'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { orderly } from '@/lib/orderly'
import { useEditAndApprove } from './api'
import { argumentsOf, askedRequest } from './inbox'
import { previewQuery } from './inbox-api'

type EditDialogProps = { approval: Approval; open: boolean; onOpenChange: (open: boolean) => void }
type Arguments = { [name: string]: unknown }

/** Any object, edited as JSON: for arguments that the fields of a form would lose. */
const AS_JSON: Schema = { title: 'Arguments', open: true, properties: [] }

/** Fields by the tool's schema, those that are filled in first, where they give back exactly what is there; otherwise one field of JSON. */
function schemaFor(parameters: unknown, given: Arguments): Schema {
  const read = readSchema(parameters)
  const isThere = ([name]: Schema['properties'][number]) => name in given
  const schema = {
    ...read,
    properties: [...read.properties.filter(isThere), ...read.properties.filter((one) => !isThere(one))],
  }
  const same = orderly(readDraft(schema, draftOf(schema, given)).value) === orderly(given)
  return schema.properties.length > 0 && same ? schema : AS_JSON
}

/** Agreeing to a call with other arguments: what they become, and what that changes. */
export function EditDialog({ approval, open, onOpenChange }: EditDialogProps) {
  const given = argumentsOf(askedRequest(approval))
  const preview = useQuery({
    ...previewQuery(approval.project, approval.id, approval.request_hash),
    enabled: open,
  })
  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      title="Edit and approve"
      description={approval.title}
      className="w-[min(760px,calc(100vw-32px))]"
    >
      {given && preview.data ? (
        <EditForm
          approval={approval}
          given={given}
          schema={schemaFor(preview.data.parameters, given)}
          onDone={() => onOpenChange(false)}
        />
      ) : (
        <DialogBody>
          <ProblemLine error={preview.error} />
        </DialogBody>
      )}
    </Dialog>
  )
}

type EditFormProps = { approval: Approval; given: Arguments; schema: Schema; onDone: () => void }

function EditForm({ approval, given, schema, onDone }: EditFormProps) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(schema, given))
  const [comment, setComment] = useState('')
  const [errors, setErrors] = useState<ReadonlyMap<string, string>>(new Map())
  const send = useEditAndApprove()
  const read = readDraft(schema, draft)
  const wanted = (read.value ?? {}) as Arguments
  const changed = orderly(wanted) !== orderly(given)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setErrors(new Map(read.errors.map((one) => [one.path, one.message])))
    if (read.errors.length > 0 || !changed) return
    send.mutate(
      { id: approval.id, shown: approval.request_hash, comment: comment.trim() || null, arguments: wanted },
      {
        onSuccess: (answered) => {
          onDone()
          toast(
            answered.status === 'approved' ? 'Approved with your changes' : 'Changed; others have to agree',
          )
        },
      },
    )
  }
  return (
    <form onSubmit={submit} noValidate className="contents">
      <DialogBody>
        <p className="text-ink-2">
          What you change is checked by the rules again before it goes out. The request as it was asked stays
          on record, with your name on the change.
        </p>
        <SchemaFields
          schema={schema}
          draft={draft}
          errors={errors}
          onChange={(next) => {
            setDraft(next)
            setErrors(new Map())
          }}
        />
        {read.errors.length === 0 && changed ? (
          <LineDiff label="What you change" before={orderly(given)} after={orderly(wanted)} />
        ) : null}
        <Field label="Comment">
          {(wiring) => (
            <Input
              {...wiring}
              maxLength={2000}
              value={comment}
              onChange={(event) => setComment(event.target.value)}
            />
          )}
        </Field>
        <ProblemLine error={send.error} />
      </DialogBody>
      <DialogActions>
        {changed ? null : <p className="mr-auto self-center text-ink-3">Nothing is changed yet.</p>}
        <Button onClick={onDone}>Back</Button>
        <PermittedButton
          permission="approval:answer"
          type="submit"
          variant="spark"
          disabled={send.isPending || !changed}
        >
          {send.isPending ? 'Approving' : 'Approve with changes'}
        </PermittedButton>
      </DialogActions>
    </form>
  )
}
