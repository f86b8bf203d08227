import type { Extension } from '@codemirror/state'
import { useRef } from 'react'
import type { ProblemError } from '@/api/generated/types.gen'
import { CodeEditor, type CodeEditorHandle } from './code-editor'
import { type Checking, ProblemList } from './problem-list'
import type { Draft } from './use-draft'

type DefinitionEditorProps = {
  label: string
  draft: Draft
  problems: readonly ProblemError[]
  state: Checking
  onSave: () => void
  extension?: Extension | undefined
}

/** A definition being written, with what is wrong with it below. */
export function DefinitionEditor({
  label,
  draft,
  problems,
  state,
  onSave,
  extension,
}: DefinitionEditorProps) {
  const editor = useRef<CodeEditorHandle>(null)
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <CodeEditor
        key={draft.round}
        ref={editor}
        label={label}
        language="yaml"
        text={draft.text}
        onChange={draft.change}
        onSave={onSave}
        problems={problems}
        extension={extension}
        className="flex-1"
      />
      <ProblemList problems={problems} state={state} onGoTo={(problem) => editor.current?.goTo(problem)} />
    </div>
  )
}
