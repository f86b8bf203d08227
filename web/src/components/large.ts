import { createContext } from 'react'

/** A value that is too large to be shown: where it lies, and how it begins. */
export type Large = { sha256: string; bytes: number; type: string; preview: string }

/** The run whose values are shown below; without it nothing can be downloaded. */
export const ValuesRun = createContext<string | null>(null)

/** What the API puts in the place of a large value; nothing else has this shape. */
export function asLarge(value: unknown): Large | null {
  if (typeof value !== 'object' || value === null || !('$blob' in value)) return null
  const found = value.$blob
  return typeof found === 'object' && found !== null && 'sha256' in found ? (found as Large) : null
}

/** The large parts of a value, each under the names that lead to it. */
export function largeParts(value: unknown, path = ''): { path: string; large: Large }[] {
  const large = asLarge(value)
  if (large) return [{ path, large }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, part]) =>
    largeParts(part, path === '' ? name : `${path}.${name}`),
  )
}
