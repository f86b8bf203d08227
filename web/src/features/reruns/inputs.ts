/** The names of the inputs that have another value, or that only one of both has. */
export function changedInputs(before: unknown, now: unknown): string[] {
  const old = asObject(before)
  const fresh = asObject(now)
  const names = new Set([...Object.keys(old), ...Object.keys(fresh)])
  return [...names].filter((name) => JSON.stringify(old[name]) !== JSON.stringify(fresh[name]))
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
