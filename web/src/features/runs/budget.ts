const MICROS = 6
const AMOUNT = /^\d{1,9}(\.\d{1,6})?$/

/** A typed amount of dollars as micros; empty: null, the workflow's own. No float on the way. */
export function readBudget(text: string): { micros: number | null; error?: string } {
  const amount = text.trim().replace(/^\$/, '')
  if (amount === '') return { micros: null }
  if (!AMOUNT.test(amount)) return { micros: null, error: 'This must be an amount such as 0.50.' }
  const [whole = '0', part = ''] = amount.split('.')
  const micros = Number(whole + part.padEnd(MICROS, '0'))
  return micros > 0 ? { micros } : { micros: null, error: 'This must be more than nothing.' }
}
