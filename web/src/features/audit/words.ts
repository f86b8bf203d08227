import type { AuditChain, AuditLine, SecurityEvent } from '@/api/generated/types.gen'
import type { Face } from '@/components/glyph'
import { isId, shortId } from '@/lib/format'

/** Who did it: a name where there is one, else what the line says. */
export function whoDid(line: Pick<AuditLine, 'who' | 'actor'>): string {
  if (line.who) return line.who.name
  if (line.actor === 'system') return 'The platform'
  if (line.actor === 'worker') return 'A worker'
  if (line.actor.startsWith('system:')) return `${line.actor.slice('system:'.length)}, on the server`
  return line.actor
}

/** How they came: nothing for who was in a session, which is the usual way. */
export function cameBy(via: string | null): string | null {
  return via?.startsWith('key:') ? 'with an API key' : null
}

/** The object in words: `policy:0192…0a1b2c3d` becomes `policy 0a1b2c3d`; a name stays whole. */
export function objectWords(object: string): string {
  const [kind, id] = split(object)
  return `${kind} ${isId(id) ? shortId(id) : id}`.trim()
}

function split(object: string): [string, string] {
  const at = object.indexOf(':')
  return at < 0 ? [object, ''] : [object.slice(0, at), object.slice(at + 1)]
}

export const CHAIN_FACE = {
  sealed: { label: 'Sealed', tone: 'succeeded' },
  behind: { label: 'Not sealed for over a minute', tone: 'failed' },
  never: { label: 'Never sealed', tone: 'failed' },
} satisfies Record<AuditChain['state'], Face>

export const SEVERITY_FACE = {
  info: { label: 'Info', tone: 'skipped' },
  warning: { label: 'Warning', tone: 'denied' },
  critical: { label: 'Critical', tone: 'failed' },
} satisfies Record<SecurityEvent['severity'], Face>
