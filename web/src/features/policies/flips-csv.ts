import type { Flip } from '@/api/generated/types.gen'

const COLUMNS = [
  'change',
  'project',
  'at',
  'subject',
  'name',
  'was',
  'old_rule',
  'new_policy',
  'new_rule',
  'reason',
  'cost_micros',
  'run_id',
  'decision_id',
] as const satisfies ReadonlyArray<keyof Flip>

/** A cell that no spreadsheet takes for a formula. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}

const line = (values: readonly string[]): string => values.map(cell).join(',')

/** Flips as a table for other programs. */
export const flipsAsCsv = (flips: readonly Flip[]): string =>
  [line(COLUMNS), ...flips.map((flip) => line(COLUMNS.map((one) => String(flip[one] ?? ''))))].join('\r\n')

/** Hand a text to the browser as a file. */
export function saveAsFile(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/csv' }))
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  URL.revokeObjectURL(address)
}
