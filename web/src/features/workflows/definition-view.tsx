import type { Workflow } from '@/api/generated/types.gen'
import { CodeEditor } from '@/components/code/code-editor'
import { CopyButton } from '@/components/copy-button'
import { plural } from '@/lib/format'
import { StepsOutline } from './steps-outline'

/** The latest version to read: its steps at the left, its text at the right. */
export function DefinitionView({ workflow }: { workflow: Workflow }) {
  const { latest } = workflow
  return (
    <div className="flex min-h-0 flex-1">
      <div className="w-[280px] shrink-0 overflow-y-auto border-r border-line max-md:hidden">
        <h2 className="sticky top-0 flex h-9 items-center border-b border-line bg-surface px-4 text-dense font-medium text-ink-2">
          {plural(latest.steps.length, 'step')}
        </h2>
        <StepsOutline steps={latest.steps} />
      </div>
      <div className="flex min-w-0 flex-1 flex-col">
        <div className="flex h-9 shrink-0 items-center justify-between border-b border-line px-4">
          <h2 className="text-dense font-medium text-ink-2">Definition</h2>
          <CopyButton label="Copy definition" text={() => latest.source} />
        </div>
        <CodeEditor
          label="Definition"
          language={latest.source.trimStart().startsWith('{') ? 'json' : 'yaml'}
          text={latest.source}
          className="flex-1"
        />
      </div>
    </div>
  )
}
