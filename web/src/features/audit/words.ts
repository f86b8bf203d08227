import type { AuditChain, AuditLine, SecurityEvent } from '@/api/generated/types.gen'
import type { Face } from '@/components/glyph'
import { shortId } from '@/lib/format'

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
  return `${kind} ${UUID.test(id) ? shortId(id) : id}`.trim()
}

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/

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

export const SPANS = { hour: 'Last hour', day: 'Last day', week: 'Last week', month: 'Last 30 days' } as const
export type Span = keyof typeof SPANS
const HOURS = { hour: 1, day: 24, week: 168, month: 720 } satisfies Record<Span, number>

/** When a span began, to the minute, so that the same list is asked for a while. */
export function sinceOf(span: string, now: number): string {
  const hours = HOURS[span as Span]
  if (hours === undefined) return ''
  return new Date(Math.floor((now - hours * 3_600_000) / 60_000) * 60_000).toISOString()
}
