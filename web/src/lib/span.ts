export const SPANS = { hour: 'Last hour', day: 'Last day', week: 'Last week', month: 'Last 30 days' } as const
export type Span = keyof typeof SPANS
const HOURS = { hour: 1, day: 24, week: 168, month: 720 } satisfies Record<Span, number>

/** When a span began, to the minute, so that the same list is asked for a while; empty where it is none. */
export function sinceOf(span: string, now: number): string {
  const hours = HOURS[span as Span]
  if (hours === undefined) return ''
  return new Date(Math.floor((now - hours * 3_600_000) / 60_000) * 60_000).toISOString()
}
