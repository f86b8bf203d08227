const MOST = 36_500

/** A typed number of days; empty: null, for ever. */
export function readDays(text: string): { days: number | null; error?: string } {
  const given = text.trim()
  if (given === '') return { days: null }
  const days = Number(given)
  return /^\d+$/.test(given) && days >= 1 && days <= MOST
    ? { days }
    : { days: null, error: `This must be a whole number from 1 to ${MOST.toLocaleString('en-US')}.` }
}

const DAY_SECONDS = 86_400
const HOUR_SECONDS = 3_600

/** A delay in words that a person decides by. */
export function delayWords(seconds: number): string {
  const [count, unit] =
    seconds >= DAY_SECONDS
      ? [Math.round(seconds / DAY_SECONDS), 'day']
      : [Math.max(Math.round(seconds / HOUR_SECONDS), 0), 'hour']
  return count === 0 ? 'at once' : `in ${count} ${unit}${count === 1 ? '' : 's'}`
}
