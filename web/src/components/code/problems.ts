import {
  type EditorState,
  type Extension,
  RangeSet,
  StateEffect,
  StateField,
  type Text,
} from '@codemirror/state'
import {
  Decoration,
  type DecorationSet,
  EditorView,
  GutterMarker,
  gutter,
  hoverTooltip,
} from '@codemirror/view'
import type { ProblemError } from '@/api/generated/types.gen'

type Placed = { from: number; to: number; message: string }

/** Say what is wrong with the text now; it replaces what was said before. */
export const setProblems = StateEffect.define<readonly ProblemError[]>()

/** Where a place counted from 1 lies in the text; a place beyond its end lies at its end. */
export function offsetOf(
  text: Text,
  line: number | null | undefined,
  column: number | null | undefined,
): number {
  const found = text.line(Math.min(Math.max(line ?? 1, 1), text.lines))
  return Math.min(found.from + Math.max((column ?? 1) - 1, 0), found.to)
}

/** From the place of the problem to the end of its word, or of its line. */
function place(state: EditorState, problem: ProblemError): Placed {
  const from = offsetOf(state.doc, problem.line, problem.column)
  const line = state.doc.lineAt(from)
  const rest = line.text.slice(from - line.from)
  const word = /^[\w.-]+/.exec(rest)?.[0] ?? rest.trimEnd()
  const message = problem.hint ? `${problem.message} (${problem.hint})` : problem.message
  return { from, to: from + word.length, message }
}

class Marker extends GutterMarker {
  readonly messages: readonly string[]

  constructor(messages: readonly string[]) {
    super()
    this.messages = messages
  }

  override eq(other: Marker): boolean {
    return this.messages.join('\n') === other.messages.join('\n')
  }

  /** For the eye only: a gutter is hidden from screen readers, which read the list of problems. */
  override toDOM(): HTMLElement {
    const sign = document.createElement('span')
    sign.className = 'cm-problem-marker'
    sign.textContent = '×'
    sign.title = this.messages.join('\n')
    return sign
  }
}

type Shown = { placed: readonly Placed[]; underlines: DecorationSet; markers: RangeSet<GutterMarker> }

const NOTHING: Shown = { placed: [], underlines: Decoration.none, markers: RangeSet.empty }

function show(state: EditorState, problems: readonly ProblemError[]): Shown {
  const placed = problems.map((problem) => place(state, problem)).sort((a, b) => a.from - b.from)
  const lines = new Map<number, string[]>()
  for (const one of placed) {
    const at = state.doc.lineAt(one.from).from
    lines.set(at, [...(lines.get(at) ?? []), one.message])
  }
  return {
    placed,
    underlines: Decoration.set(
      placed
        .filter((one) => one.to > one.from)
        .map((one) => Decoration.mark({ class: 'cm-problem' }).range(one.from, one.to)),
    ),
    markers: RangeSet.of(
      [...lines].map(([at, messages]) => new Marker(messages).range(at)),
      true,
    ),
  }
}

const shownProblems = StateField.define<Shown>({
  create: () => NOTHING,
  update(shown, transaction) {
    for (const effect of transaction.effects)
      if (effect.is(setProblems)) return show(transaction.state, effect.value)
    if (!transaction.docChanged || shown === NOTHING) return shown
    const { changes } = transaction
    return {
      placed: shown.placed.map((one) => ({
        ...one,
        from: changes.mapPos(one.from),
        to: changes.mapPos(one.to),
      })),
      underlines: shown.underlines.map(changes),
      markers: shown.markers.map(changes),
    }
  },
  provide: (field) => EditorView.decorations.from(field, (shown) => shown.underlines),
})

const explanation = hoverTooltip((view, at) => {
  const found = view.state.field(shownProblems).placed.filter((one) => one.from <= at && at <= one.to)
  const [first] = found
  if (!first) return null
  const create = () => {
    const dom = document.createElement('div')
    dom.textContent = found.map((one) => one.message).join('\n')
    return { dom }
  }
  return { pos: first.from, end: first.to, above: true, create }
})

/** Signs in the gutter, lines under the words, and what is wrong on hover. */
export const problemMarks: Extension = [
  shownProblems,
  gutter({ class: 'cm-problem-gutter', markers: (view) => view.state.field(shownProblems).markers }),
  explanation,
]
