import type { Tool } from '@/api/generated/types.gen'
import { CodeEditor } from '@/components/code/code-editor'
import { CopyButton } from '@/components/copy-button'
import { Moment } from '@/components/moment'
import { EFFECT_WORDS } from './effect-words'

/** Everything about one tool: what it does, what a lost call means, and what it takes. */
export function ToolView({ tool }: { tool: Tool }) {
  const schema = JSON.stringify(tool.parameters, null, 2)
  const effect = EFFECT_WORDS[tool.effect_class]
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <dl className="grid grid-cols-[112px_minmax(0,1fr)] gap-x-3 gap-y-1.5 border-b border-line px-4 py-3">
        <Fact name="Description">{tool.description}</Fact>
        <Fact name="Effect">
          <span className="font-medium">{effect.label}.</span> {effect.meaning}
        </Fact>
        <Fact name="Digest">
          <code className="font-mono text-dense break-all">{tool.digest}</code>
        </Fact>
        <Fact name="Added">
          <Moment at={tool.created_at} />
        </Fact>
      </dl>
      <div className="flex h-9 shrink-0 items-center justify-between border-b border-line px-4">
        <h2 className="text-dense font-medium text-ink-2">Arguments, as JSON Schema</h2>
        <CopyButton label="Copy schema" text={() => schema} />
      </div>
      <CodeEditor
        label="Arguments, as JSON Schema"
        language="json"
        text={schema}
        className="min-h-40 flex-1"
      />
    </div>
  )
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="max-w-3xl min-w-0 break-words">{children}</dd>
    </>
  )
}
