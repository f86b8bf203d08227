import { useState } from 'react'
import { asProblem } from '@/api/problem'
import { Glyph } from './glyph'
import { Button } from './ui/button'

type ProblemPanelProps = { error: unknown; onRetry?: (() => void) | undefined }

/** What failed, why, and what can be done: the error state of every page and part. */
export function ProblemPanel({ error, onRetry }: ProblemPanelProps) {
  const [copied, setCopied] = useState(false)
  const problem = asProblem(error)
  const copy = () => {
    void navigator.clipboard.writeText(JSON.stringify(problem, null, 2)).then(() => setCopied(true))
  }
  return (
    <section role="alert" className="m-4 max-w-2xl rounded-lg border border-line bg-surface p-4">
      <h2 className="flex items-center gap-2 text-section font-semibold">
        <Glyph tone="failed" />
        {problem.title}
      </h2>
      <p className="mt-1 text-ink-2">{problem.detail}</p>
      {problem.errors?.map((one) => (
        <p key={`${one.path}:${one.message}`} className="mt-1 text-dense">
          <code className="font-mono">{one.path}</code> {one.message}
        </p>
      ))}
      <div className="mt-3 flex items-center gap-2">
        {onRetry ? <Button onClick={onRetry}>Try again</Button> : null}
        <Button variant="ghost" onClick={copy}>
          {copied ? 'Copied' : 'Copy details'}
        </Button>
        {problem.request_id ? (
          <span className="text-dense text-ink-3">
            Request <code className="font-mono">{problem.request_id}</code>
          </span>
        ) : null}
      </div>
    </section>
  )
}

/** A failure inside a form or a dialog, in one line. */
export function ProblemLine({ error }: { error: unknown }) {
  if (!error) return null
  const problem = asProblem(error)
  return (
    <p role="alert" className="text-body text-tx-failed">
      {problem.detail || problem.title}
    </p>
  )
}
