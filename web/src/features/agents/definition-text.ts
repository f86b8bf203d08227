import { isNode, LineCounter, parseDocument, stringify } from 'yaml'
import type { ProblemError } from '@/api/generated/types.gen'
import type { AgentDefinition } from './api'

/** The order in which people write a definition; other keys follow. */
const ORDER = [
  'model',
  'instructions',
  'tools',
  'max_turns',
  'max_output_tokens',
  'temperature',
  'price',
  'script',
]

const rank = (key: string): number => (ORDER.includes(key) ? ORDER.indexOf(key) : ORDER.length)

/** A definition as YAML. The same definition always gives the same text, whatever the order of its keys. */
export function definitionText(definition: AgentDefinition): string {
  const keys = Object.keys(definition).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
  return stringify(Object.fromEntries(keys.map((key) => [key, definition[key]])), { lineWidth: 0 })
}

type Read = { definition: AgentDefinition; problems: [] } | { definition: null; problems: ProblemError[] }

/** The definition in a text, or what keeps it from being one. Whether it makes sense is for the server to say. */
export function readDefinition(text: string): Read {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const problems = document.errors.map((error) => {
    const { line, col } = lines.linePos(error.pos[0])
    return { path: '', message: error.message, line, column: col }
  })
  if (problems.length > 0) return { definition: null, problems }
  const value: unknown = document.toJS()
  if (isMapping(value)) return { definition: value, problems: [] }
  return {
    definition: null,
    problems: [{ path: '', message: 'A definition is a mapping of names to values', line: 1 }],
  }
}

const isMapping = (value: unknown): value is AgentDefinition =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The server names places by path; this gives them line and column in the text that was sent. */
export function locate(text: string, errors: readonly ProblemError[]): ProblemError[] {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const placeOf = (path: readonly string[]): number => {
    for (let depth = path.length; depth > 0; depth -= 1) {
      const node = document.getIn(path.slice(0, depth), true)
      if (isNode(node) && node.range) return node.range[0]
    }
    return 0
  }
  return errors.map((error) => {
    if (error.line) return error
    const path = error.path
      .replace(/^definition\.?/, '')
      .split('.')
      .filter(Boolean)
    const { line, col } = lines.linePos(placeOf(path))
    return { ...error, line: Math.max(line, 1), column: Math.max(col, 1) }
  })
}
