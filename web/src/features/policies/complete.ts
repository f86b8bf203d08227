import type { PolicyFacts } from '@/api/generated/types.gen'

export type Proposal = { label: string; kind: 'fact' | 'key' | 'value'; detail?: string; info?: string }
export type Proposals = { from: number; options: readonly Proposal[] }

const WHOLE = ['version', 'name', 'description', 'mode', 'rules', 'tests']
const RULE = [
  'name',
  'description',
  'on',
  'agents',
  'workflows',
  'tools',
  'capabilities',
  'models',
  'when',
  'effect',
  'reason',
  'severity',
  'mode',
  'approval',
]
const APPROVAL = ['approvers', 'quorum', 'expires', 'escalate_after', 'escalate_to', 'may_edit']
const TEST = ['name', 'on', 'facts', 'expect', 'rule']
const EFFECTS = ['allow', 'require_approval', 'deny']
const VALUES: Readonly<Record<string, readonly string[]>> = {
  version: ['1'],
  effect: EFFECTS,
  expect: EFFECTS,
  capabilities: ['compute', 'read', 'write', 'outward'],
  severity: ['info', 'low', 'medium', 'high', 'critical'],
  mode: ['enforce', 'monitor', '"off"'],
  approvers: ['owner', 'operator'],
  escalate_to: ['owner', 'operator'],
  may_edit: ['true', 'false'],
}
const FUNCTIONS = [
  'has(',
  'size(',
  'startsWith(',
  'endsWith(',
  'contains(',
  'matches(',
  'exists(',
  'all(',
  'filter(',
]
const WORD = /[\w."-]*$/

/** What may stand at this place of a policy's text; null: nothing that is known. */
export function proposalsAt(text: string, at: number, facts: PolicyFacts | undefined): Proposals | null {
  const lines = text.slice(0, at).split('\n')
  const line = lines.at(-1) ?? ''
  const [word = ''] = WORD.exec(line) ?? []
  const from = at - word.length
  const before = line.slice(0, line.length - word.length)
  const key = keyOf(lines)
  if (key === 'when') return { from, options: factProposals(facts) }
  if (key === 'on') return { from, options: values(facts?.subjects ?? []) }
  if (key === 'facts' && /[{,]\s*$/.test(before)) return { from, options: factNames(facts) }
  if (key && key in VALUES) return { from, options: values(VALUES[key] ?? []) }
  if (!/^[\s-]*$/.test(before)) return null
  return { from, options: keysAt(lines, facts) }
}

/** The key whose value is being written: on this line, or above it where the value is a block. */
function keyOf(lines: readonly string[]): string | null {
  const line = lines.at(-1) ?? ''
  const flow = [...line.matchAll(/(?:^[\s-]*|[{,]\s*)(\w+):(?=\s)/g)].at(-1)
  if (flow?.[1] && !closed(line.slice((flow.index ?? 0) + flow[0].length))) return flow[1]
  const depth = indentOf(line)
  for (const above of lines.slice(0, -1).reverse()) {
    if (above.trim() === '') continue
    if (indentOf(above) >= depth) continue
    return /^\s*(?:- )?(\w+):\s*[|>]/.exec(above)?.[1] ?? null
  }
  return null
}

/** Whether a value of a flow map is over: what follows is another key. */
const closed = (value: string): boolean => {
  const open = (value.match(/[[{(]/g) ?? []).length - (value.match(/[\]})]/g) ?? []).length
  return open === 0 && /,\s*\w*$/.test(value)
}

/** The keys of the map that a line belongs to. */
function keysAt(lines: readonly string[], facts: PolicyFacts | undefined): readonly Proposal[] {
  const depth = indentOf(lines.at(-1) ?? '')
  if (depth === 0 && !(lines.at(-1) ?? '').startsWith('-')) return keys(WHOLE)
  let limit = depth
  for (const above of lines.slice(0, -1).reverse()) {
    const opened = /^(\s*)(?:- )?(rules|tests|approval|facts):\s*$/.exec(above)
    if (!opened || indentOf(above) > limit) {
      if (above.trim() !== '') limit = Math.min(limit, indentOf(above))
      continue
    }
    if (opened[2] === 'facts') return factNames(facts)
    return keys(opened[2] === 'tests' ? TEST : opened[2] === 'approval' ? APPROVAL : RULE)
  }
  return keys(WHOLE)
}

const indentOf = (line: string): number => (/^[\s]*(?:- )?/.exec(line)?.[0] ?? '').length

const keys = (names: readonly string[]): readonly Proposal[] =>
  names.map((name) => ({ label: `${name}: `, kind: 'key' }))

const values = (names: readonly string[]): readonly Proposal[] =>
  names.map((name) => ({ label: name, kind: 'value' }))

function factNames(facts: PolicyFacts | undefined): readonly Proposal[] {
  return (facts?.facts ?? [])
    .filter((fact) => fact.name !== 'on')
    .map((fact) => ({ label: `${fact.name}: `, kind: 'fact', detail: fact.type, info: fact.about }))
}

function factProposals(facts: PolicyFacts | undefined): readonly Proposal[] {
  const named = [...(facts?.facts ?? []), ...(facts?.history ?? [])]
  return [
    ...named.map((fact) => ({
      label: fact.name,
      kind: 'fact' as const,
      detail: fact.type,
      info: `${fact.about} (${fact.subjects.join(', ')})`,
    })),
    ...FUNCTIONS.map((name) => ({ label: name, kind: 'value' as const, detail: 'function' })),
  ]
}
