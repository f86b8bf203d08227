import { useState } from 'react'
import type { Approval } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { JsonView, valueText } from '@/components/json-view'
import { Markdown } from '@/components/markdown/markdown'
import { looksLikeMarkdown } from '@/components/markdown/parse'
import { Button } from '@/components/ui/button'
import { ValueTree } from '@/components/value-tree'
import { askedRequest } from './inbox'

/**
 * What a person is asked to look at: of a workflow's own question what it shows, of a run its input or its output, of a
 * held call the whole request.
 */
export function shownOf(approval: Approval): unknown {
  const request = askedRequest(approval)
  const part = SHOWN[approval.subject_kind]
  if (part === undefined || typeof request !== 'object' || request === null || !(part in request))
    return request
  return (request as { [name: string]: unknown })[part]
}

const SHOWN: Partial<Record<Approval['subject_kind'], string>> = {
  step: 'show',
  run: 'input',
  output: 'output',
}

const HEADINGS: Partial<Record<Approval['subject_kind'], string>> = {
  run: 'Input of the run',
  output: 'Output of the run',
}

/** The request that the answer is bound to, easy to read or exactly as it is. */
export function ProposedRequest({ approval }: { approval: Approval }) {
  const [exact, setExact] = useState(false)
  const shown = shownOf(approval)
  return (
    <section aria-label="Proposed request" className="px-4 py-3">
      <div className="mb-2 flex h-6 items-center justify-between">
        <h3 className="text-dense font-medium text-ink-2">
          {approval.edited_by
            ? `Request, as ${approval.edited_by.name} changed it`
            : (HEADINGS[approval.subject_kind] ?? 'Proposed request')}
        </h3>
        <div className="flex gap-1">
          <Button size="sm" variant="ghost" aria-pressed={exact} onClick={() => setExact(!exact)}>
            {exact ? 'Show formatted' : 'Show exact text'}
          </Button>
          <CopyButton label="Copy request" text={() => valueText(askedRequest(approval))} />
        </div>
      </div>
      {exact ? (
        <JsonView label="Exact request" value={askedRequest(approval)} />
      ) : (
        <Formatted value={shown} />
      )}
    </section>
  )
}

function Formatted({ value }: { value: unknown }) {
  if (typeof value !== 'string') return <ValueTree value={value} />
  if (looksLikeMarkdown(value)) return <Markdown text={value} />
  return <p className="max-w-3xl break-words whitespace-pre-wrap">{value}</p>
}
