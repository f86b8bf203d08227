import { isId } from '@/lib/format'
import { SPANS } from '@/lib/span'
import type { AddressChanges } from '@/lib/use-address'
import type { DecisionFilters, DecisionScope } from './decisions-api'
import { OUTCOMES, SUBJECTS } from './words'

const KEYS = [
  'outcome',
  'monitored',
  'subject',
  'name',
  'rule',
  'policy',
  'run',
  'span',
  'since',
  'until',
] as const

/** What the choice of time says where two moments limit it. */
export const BETWEEN = 'between'
const EARLIEST = Date.parse('1970-01-01T00:00:00Z')
const LATEST = Date.parse('9999-01-01T00:00:00Z')

/**
 * The filters in the address; what cannot be meant is left out, but for a run, which `noRun` tells of.
 *
 * `began`: when the span began that the address names, if it names one.
 */
export function readFilters(search: URLSearchParams, began: string): DecisionFilters {
  const within = timeOf(search) === BETWEEN
  const policy = search.get('policy') ?? ''
  return {
    outcome: OUTCOMES.filter((one) => search.getAll('outcome').includes(one)),
    subject: SUBJECTS.find((one) => one === search.get('subject')) ?? null,
    name: search.get('name') ?? '',
    rule: search.get('rule') ?? '',
    monitored: search.get('monitored') === 'true',
    policy: isId(policy) ? policy : '',
    run: search.get('run') ?? '',
    since: within ? instantOf(search.get('since')) : began,
    until: within ? instantOf(search.get('until')) : '',
  }
}

/** Whether the list is filtered, by more than what it is about anyhow. */
export const isFiltered = (search: URLSearchParams, scope: DecisionScope): boolean =>
  KEYS.some((key) => !(key in scope) && search.has(key))

/** What takes all filters out of the address. */
export const NO_FILTERS: AddressChanges = Object.fromEntries(KEYS.map((key) => [key, '']))

/** The run that is asked for is none: its id was not given whole, or is something else. */
export const noRun = (filters: DecisionFilters, scope: DecisionScope): boolean =>
  scope.run === undefined && filters.run !== '' && !isId(filters.run)

/** Which span the address names, or `BETWEEN`; empty: all time. */
export function timeOf(search: URLSearchParams): string {
  const span = search.get('span') ?? ''
  if (span in SPANS) return span
  return span === BETWEEN || search.has('since') || search.has('until') ? BETWEEN : ''
}

/** The moment that a text means, as the API takes it; a text without a zone means that of the viewer. Empty: none. */
export function instantOf(text: string | null): string {
  const at = Date.parse(text ?? '')
  return at >= EARLIEST && at < LATEST ? new Date(at).toISOString() : ''
}

/** A moment as a field for date and time holds it, in the viewer's time zone. */
export function localText(instant: string): string {
  if (instant === '') return ''
  const at = new Date(instant)
  const two = (part: number) => String(part).padStart(2, '0')
  const day = [String(at.getFullYear()).padStart(4, '0'), two(at.getMonth() + 1), two(at.getDate())].join('-')
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`
}
