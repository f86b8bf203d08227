import { HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import type { Extension } from '@codemirror/state'
import { Decoration, EditorView, MatchDecorator, ViewPlugin, type ViewUpdate } from '@codemirror/view'
import { tags } from '@lezer/highlight'

// Ink only: in these pages colour means a state, so text is told apart by weight and depth.

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '12px', color: 'var(--ink)', backgroundColor: 'var(--surface)' },
  '&.cm-focused': { outline: 'none' },
  '&.cm-focused .cm-activeLineGutter': { color: 'var(--ink)' },
  '.cm-scroller': { fontFamily: 'var(--font-mono)', lineHeight: '18px' },
  '.cm-content': { padding: '8px 0', caretColor: 'var(--ink)' },
  '.cm-line': { padding: '0 16px 0 8px' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--ink-3)', border: 'none' },
  '.cm-lineNumbers .cm-gutterElement': { padding: '0 8px 0 4px', minWidth: '36px' },
  '.cm-activeLine, .cm-activeLineGutter': {
    backgroundColor: 'color-mix(in srgb, var(--raised) 60%, transparent)',
  },
  '.cm-cursor': { borderLeftColor: 'var(--ink)', borderLeftWidth: '2px' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'color-mix(in srgb, var(--ink-3) 32%, transparent)',
  },
  '.cm-selectionMatch, .cm-searchMatch': {
    backgroundColor: 'var(--raised)',
    outline: '1px solid var(--line-strong)',
  },
  '.cm-searchMatch-selected': { backgroundColor: 'var(--line-strong)' },
  '.cm-panels': { backgroundColor: 'var(--bg)', color: 'var(--ink)', fontFamily: 'var(--font-sans)' },
  '.cm-panels-top': { borderBottom: '1px solid var(--line)' },
  '.cm-panel.cm-search': { padding: '6px 32px 6px 16px', fontSize: '13px' },
  '.cm-panel.cm-search label': { fontSize: '12px' },
  '.cm-textfield, .cm-button': {
    backgroundImage: 'none',
    backgroundColor: 'var(--surface)',
    color: 'var(--ink)',
    border: '1px solid var(--line-strong)',
    borderRadius: '5px',
    fontSize: '12px',
  },
  '.cm-panel.cm-search [name=close]': { color: 'var(--ink-2)', fontSize: '18px', right: '10px', top: '4px' },
  '.cm-tooltip': {
    backgroundColor: 'var(--surface)',
    color: 'var(--ink)',
    border: '1px solid var(--line)',
    borderRadius: '5px',
    padding: '4px 8px',
    fontFamily: 'var(--font-sans)',
    maxWidth: '480px',
  },
  '.cm-tooltip.cm-tooltip-autocomplete': { padding: '4px', maxWidth: 'none' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': {
    fontFamily: 'var(--font-mono)',
    fontSize: '12px',
    maxHeight: '220px',
  },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '2px 8px', borderRadius: '3px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--raised)', color: 'var(--ink)' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '500' },
  '.cm-completionDetail': { color: 'var(--ink-3)', fontStyle: 'normal', marginLeft: '12px' },
  '.cm-tooltip.cm-completionInfo': { fontSize: '12px', maxWidth: '320px', margin: '0 4px' },
  '.cm-expression': { backgroundColor: 'var(--raised)', borderRadius: '3px' },
  '.cm-problem': { textDecoration: 'underline wavy var(--st-failed) 1px', textUnderlineOffset: '3px' },
  '.cm-problem-gutter': { width: '18px' },
  '.cm-problem-gutter .cm-gutterElement': { display: 'grid', placeItems: 'center', padding: '0' },
  '.cm-problem-marker': {
    width: '11px',
    height: '11px',
    borderRadius: '2px',
    backgroundColor: 'var(--st-failed)',
    color: 'var(--surface)',
    font: '500 9px/11px var(--font-sans)',
    textAlign: 'center',
  },
})

const words = HighlightStyle.define([
  {
    tag: [tags.propertyName, tags.definition(tags.propertyName), tags.keyword],
    fontWeight: '500',
    color: 'var(--ink)',
  },
  { tag: [tags.string, tags.content, tags.special(tags.string)], color: 'var(--ink-2)' },
  { tag: [tags.number, tags.bool, tags.null, tags.literal], color: 'var(--ink)' },
  { tag: tags.comment, color: 'var(--ink-3)', fontStyle: 'italic' },
  {
    tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace, tags.meta],
    color: 'var(--ink-3)',
  },
])

const expression = new MatchDecorator({
  regexp: /\$\{\{.*?\}\}/g,
  decoration: Decoration.mark({ class: 'cm-expression' }),
})

/** A ground behind `${{ … }}`: what is computed stands out from what is written down. */
const expressions = ViewPlugin.define(
  (view) => ({
    decorations: expression.createDeco(view),
    update(update: ViewUpdate) {
      this.decorations = expression.updateDeco(update, this.decorations)
    },
  }),
  { decorations: (plugin) => plugin.decorations },
)

export const codeTheme: Extension = [look, syntaxHighlighting(words), expressions]
