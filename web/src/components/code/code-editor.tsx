import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { json } from '@codemirror/lang-json'
import { yaml } from '@codemirror/lang-yaml'
import { bracketMatching, foldGutter, foldKeymap, indentUnit } from '@codemirror/language'
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search'
import { Compartment, EditorState, type Extension } from '@codemirror/state'
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from '@codemirror/view'
import { type Ref, useEffect, useEffectEvent, useImperativeHandle, useRef } from 'react'
import type { ProblemError } from '@/api/generated/types.gen'
import { cn } from '@/lib/cn'
import { cspNonce } from '@/lib/nonce'
import { offsetOf, problemMarks, setProblems } from './problems'
import { codeTheme } from './theme'

export type CodeEditorHandle = { goTo: (problem: ProblemError) => void }

type CodeEditorProps = {
  /** Its accessible name. */
  label: string
  language: 'yaml' | 'json'
  /** What it shows. While it is edited only the first text counts: give it a new key for another one. */
  text: string
  /** Without it the text can be read, searched and copied only. */
  onChange?: ((text: string) => void) | undefined
  /** Ctrl+S or Cmd+S. */
  onSave?: (() => void) | undefined
  problems?: readonly ProblemError[] | undefined
  /** What else the editor can do, such as completion. Keep it the same from render to render. */
  extension?: Extension | undefined
  ref?: Ref<CodeEditorHandle> | undefined
  className?: string
}

const NO_PROBLEMS: readonly ProblemError[] = []
const NOTHING: Extension = []
const LANGUAGES = { yaml, json }

const more = new Compartment()

/** A text editor for definitions: line numbers, folding, search (Ctrl+F), undo, and problems in the gutter. */
export function CodeEditor({
  label,
  language,
  text,
  onChange,
  onSave,
  problems = NO_PROBLEMS,
  extension = NOTHING,
  ref,
  className,
}: CodeEditorProps) {
  const host = useRef<HTMLDivElement>(null)
  const editor = useRef<EditorView>(null)
  const editable = onChange !== undefined
  const changed = useEffectEvent((next: string) => onChange?.(next))
  const save = useEffectEvent(() => onSave?.())
  const firstText = useEffectEvent(() => text)
  const firstExtension = useEffectEvent(() => extension)

  useEffect(() => {
    if (!host.current) return
    const view = new EditorView({
      parent: host.current,
      doc: firstText(),
      extensions: [
        shared(label),
        LANGUAGES[language](),
        editable ? writing(changed, save) : [EditorState.readOnly.of(true)],
        more.of(firstExtension()),
      ],
    })
    editor.current = view
    return () => view.destroy()
  }, [label, language, editable])

  useEffect(() => {
    const view = editor.current
    if (!editable && view && view.state.doc.toString() !== text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } })
    }
  }, [editable, text])

  useEffect(() => {
    editor.current?.dispatch({ effects: setProblems.of(problems) })
  }, [problems])

  useEffect(() => {
    editor.current?.dispatch({ effects: more.reconfigure(extension) })
  }, [extension])

  useImperativeHandle(ref, () => ({ goTo: (problem) => editor.current && goTo(editor.current, problem) }), [])
  return <div ref={host} className={cn('min-h-0 min-w-0 overflow-hidden', className)} />
}

function shared(label: string): Extension {
  const nonce = cspNonce()
  return [
    nonce ? EditorView.cspNonce.of(nonce) : [],
    EditorView.contentAttributes.of({ 'aria-label': label }),
    lineNumbers(),
    foldGutter({ openText: '⌄', closedText: '›' }),
    problemMarks,
    bracketMatching(),
    drawSelection(),
    highlightSelectionMatches(),
    search({ top: true }),
    // Tab leaves the editor, as it leaves every other field.
    keymap.of([...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap]),
    codeTheme,
  ]
}

function writing(changed: (text: string) => void, save: () => void): Extension {
  const run = () => {
    save()
    return true
  }
  return [
    history(),
    highlightActiveLine(),
    highlightActiveLineGutter(),
    indentUnit.of('  '),
    keymap.of([{ key: 'Mod-s', preventDefault: true, run }]),
    EditorView.updateListener.of((update) => update.docChanged && changed(update.state.doc.toString())),
  ]
}

function goTo(view: EditorView, problem: ProblemError): void {
  const at = offsetOf(view.state.doc, problem.line, problem.column)
  view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'center' }) })
  view.focus()
}
