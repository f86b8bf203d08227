import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useRef, useState } from 'react'
import type { Approval } from '@/api/generated/types.gen'
import { Moment } from '@/components/moment'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Textarea } from '@/components/ui/input'
import { useHotkeys } from '@/lib/hotkeys'
import { useWriteMessage } from './api'
import { messagesQuery } from './inbox-api'
import { Section } from './section'

/** What was asked back and told before the answer. Whoever started the run sees it on the run's page. */
export function Talk({ approval }: { approval: Approval }) {
  const open = approval.status === 'pending'
  const said = useQuery(messagesQuery(approval.project, approval.id))
  const items = said.data?.items ?? []
  if (!open && items.length === 0) return null
  return (
    <Section title="Questions and answers">
      {items.length === 0 ? null : (
        <ol aria-label="Messages" className="mb-2 grid gap-2">
          {items.map((one) => (
            <li key={one.id} className="max-w-3xl">
              <p className="text-dense text-ink-3">
                <span className="font-medium text-ink">{one.by.name}</span> <Moment at={one.at} />
              </p>
              <p className="break-words whitespace-pre-wrap">{one.text}</p>
            </li>
          ))}
        </ol>
      )}
      <ProblemLine error={said.error} />
      {open ? <Write approval={approval} /> : null}
    </Section>
  )
}

function Write({ approval }: { approval: Approval }) {
  const [text, setText] = useState('')
  const box = useRef<HTMLTextAreaElement>(null)
  const write = useWriteMessage(approval)
  useHotkeys('This approval', [{ keys: 'r', label: 'Ask back', run: () => box.current?.focus() }])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (text.trim() !== '') write.mutate(text.trim(), { onSuccess: () => setText('') })
  }
  return (
    <form onSubmit={submit} className="grid max-w-3xl gap-2">
      <Textarea
        ref={box}
        aria-label="Message"
        aria-keyshortcuts="r"
        placeholder={
          approval.requested_by
            ? `Ask ${approval.requested_by.name} and the others, before you answer`
            : 'Ask the others, before you answer'
        }
        rows={2}
        maxLength={4000}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <div className="flex items-center gap-2">
        <Button type="submit" size="sm" disabled={write.isPending || text.trim() === ''}>
          Send message
        </Button>
        <ProblemLine error={write.error} />
      </div>
    </form>
  )
}
