const NEVER = '–'

/** A duration for people: `574 ms`, `1.3 s`, `12m 04s`, `2h 05m`, `3d 04h`. */
export function formatDuration(ms: number | null): string {
  if (ms === null) return NEVER
  const span = Math.max(0, ms)
  if (span < 999.5) return `${Math.round(span)} ms`
  if (span < 59_950) return `${(span / 1000).toFixed(1)} s`
  const seconds = Math.round(span / 1000)
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'm', seconds % 60, 's')
  const minutes = Math.floor(seconds / 60)
  if (minutes < 1440) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'm')
  const hours = Math.floor(minutes / 60)
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

function pair(major: number, majorUnit: string, minor: number, minorUnit: string): string {
  return `${major}${majorUnit} ${String(minor).padStart(2, '0')}${minorUnit}`
}

/** Milliseconds from one RFC 3339 time to another, or to `now` while the second is missing. */
export function elapsedMs(from: string | null, to: string | null, now: number): number | null {
  if (from === null) return null
  return (to === null ? now : Date.parse(to)) - Date.parse(from)
}

/** Micros of a US dollar: `$0`, `$0.0085`, `$74.80`, `$1,204.00`; four digits below ten cents. */
export function formatMoney(micros: number): string {
  if (micros === 0) return '$0'
  const dollars = Math.abs(micros) / 1_000_000
  const sign = micros < 0 ? '-' : ''
  if (dollars < 0.00005) return `${sign}<$0.0001`
  const digits = dollars < 0.0995 ? 4 : 2
  const text = dollars.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: digits })
  return `${sign}$${text}`
}

/** `812`, `4.1k`, `41k`, `1.2M`. */
export function formatCount(count: number): string {
  if (count < 1000) return String(count)
  if (count < 9950) return `${(count / 1000).toFixed(1)}k`
  if (count < 999_500) return `${Math.round(count / 1000)}k`
  return `${(count / 1_000_000).toFixed(1)}M`
}

/** `318 B`, `4.2 kB`, `1.3 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 999_500) return `${(bytes / 1000).toFixed(1)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

const UNITS: ReadonlyArray<[limit: number, seconds: number, label: string]> = [
  [60, 1, 's'],
  [3600, 60, 'min'],
  [86_400, 3600, 'h'],
  [Number.POSITIVE_INFINITY, 86_400, 'd'],
]

/** A clock on a page ticks every ten seconds, and clocks differ: so little ahead of it is not the future. */
const CLOCK_LAG_S = 10

/** How far away a time is: `just now`, `12 min ago`, `in 3 h`. */
export function formatRelative(at: string, now: number): string {
  const seconds = Math.round((Date.parse(at) - now) / 1000)
  const distance = Math.abs(seconds)
  if (seconds > -5 && seconds <= CLOCK_LAG_S) return 'just now'
  const [, size, label] = UNITS.find(([limit]) => distance < limit) ?? [0, 1, 's']
  const amount = `${Math.floor(distance / size)} ${label}`
  return seconds < 0 ? `${amount} ago` : `in ${amount}`
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })
const FULL = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'long' })

/** `09:41:07`, in the viewer's time zone. */
export const formatClock = (at: string): string => CLOCK.format(Date.parse(at))

/** `22 Nov 2026, 09:41:07`, in the viewer's time zone. */
export const formatAbsolute = (at: string): string => `${DAY.format(Date.parse(at))}, ${formatClock(at)}`

/** The whole truth about a time, with its zone. */
export const formatFull = (at: string): string => FULL.format(Date.parse(at))

/** Where a step stands in its run: `+101 ms`, `+41.7 s`. */
export const formatOffset = (ms: number): string => (ms <= 0 ? '+0 s' : `+${formatDuration(ms)}`)

/** The part of an id that people read: its end, because the front of a time-ordered id is the clock. */
export const shortId = (id: string): string => id.slice(-8)

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Whether a text could be the whole id of something. */
export const isId = (text: string): boolean => ID.test(text)

/** `1 step`, `2 steps`. */
export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`
