import { Link, useSearchParams } from 'react-router'
import type { Agent } from '@/api/generated/types.gen'
import { CodeEditor } from '@/components/code/code-editor'
import { CopyButton } from '@/components/copy-button'
import { modelOf, toolsOf } from './agent-facts'
import { definitionText } from './definition-text'

const FORMS = { yaml: 'YAML', json: 'JSON' } as const

/** The latest version to read, as YAML or as JSON. */
export function AgentDefinitionView({ agent }: { agent: Agent }) {
  const [search] = useSearchParams()
  const form = search.get('as') === 'json' ? 'json' : 'yaml'
  const { definition } = agent.latest
  const text = form === 'json' ? JSON.stringify(definition, null, 2) : definitionText(definition)
  return (
    <div className="flex min-h-0 flex-1">
      <Facts agent={agent} />
      <div className="flex min-w-0 flex-1 flex-col">
        <div className="flex h-9 shrink-0 items-center justify-between border-b border-line px-4">
          <nav aria-label="Form" className="flex gap-3">
            {(['yaml', 'json'] as const).map((one) => (
              <Link
                key={one}
                to={`?as=${one}`}
                replace
                aria-current={one === form ? 'true' : undefined}
                className="text-dense text-ink-2 hover:text-ink aria-[current]:font-semibold aria-[current]:text-ink"
              >
                {FORMS[one]}
              </Link>
            ))}
          </nav>
          <CopyButton label="Copy definition" text={() => text} />
        </div>
        <CodeEditor key={form} label="Definition" language={form} text={text} className="flex-1" />
      </div>
    </div>
  )
}

function Facts({ agent }: { agent: Agent }) {
  const { definition, digest } = agent.latest
  const tools = toolsOf(definition)
  return (
    <dl className="grid w-[280px] shrink-0 content-start gap-y-2 overflow-y-auto border-r border-line px-4 py-3 max-md:hidden">
      <Fact name="Model">{modelOf(definition)}</Fact>
      <Fact name="Tools it may use">
        {tools.length === 0 ? 'None' : null}
        <ul>
          {tools.map((tool) => (
            <li key={tool}>
              <code className="font-mono text-dense">{tool}</code>
            </li>
          ))}
        </ul>
      </Fact>
      <Fact name="Turns at most">{String(definition.max_turns ?? 10)}</Fact>
      <Fact name="Tokens of one answer at most">{String(definition.max_output_tokens ?? 1024)}</Fact>
      <Fact name="Digest">
        <code className="font-mono text-dense break-all">{digest}</code>
      </Fact>
    </dl>
  )
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt className="text-dense text-ink-3">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </div>
  )
}
