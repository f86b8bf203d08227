import type { Run } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { isOver } from '@/components/faces'
import { JsonView, valueText } from '@/components/json-view'

/** What a run was given and what it gave. */
export function IoView({ run }: { run: Run }) {
  return (
    <div className="grid content-start gap-6 overflow-y-auto p-4 lg:grid-cols-2">
      <Value title="Input" value={run.input} none="This run was given no input." />
      <Value
        title="Output"
        value={run.output}
        none={isOver(run.status) ? 'This run has no output.' : 'The output is there when the run is done.'}
      />
    </div>
  )
}

function Value({ title, value, none }: { title: string; value: unknown; none: string }) {
  const there = value !== null && value !== undefined
  return (
    <section className="min-w-0">
      <div className="mb-1.5 flex h-6 items-center justify-between">
        <h2 className="font-semibold">{title}</h2>
        {there ? <CopyButton label={`Copy ${title.toLowerCase()}`} text={() => valueText(value)} /> : null}
      </div>
      {there ? <JsonView label={title} value={value} /> : <p className="text-ink-2">{none}</p>}
    </section>
  )
}
