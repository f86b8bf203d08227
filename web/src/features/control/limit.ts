const MOST = 10_000

/** A typed limit; empty: null, any number. */
export function readLimit(text: string): { limit: number | null; error?: string } {
  const given = text.trim()
  if (given === '') return { limit: null }
  const limit = Number(given)
  return /^\d+$/.test(given) && limit >= 1 && limit <= MOST
    ? { limit }
    : { limit: null, error: `This must be a whole number from 1 to ${MOST.toLocaleString('en-US')}.` }
}
