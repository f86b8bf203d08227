import type { ProblemError } from '@/api/generated/types.gen'
import type { Schema } from './schema'

/** `input.cities[0].name`, as the server says it, is `cities.0.name` in the form. */
const fieldPath = (path: string): string =>
  path
    .replace(/^(body\.)?input\.?/, '')
    .replace(/\[(\d+)\]/g, '.$1')
    .replace(/^\./, '')

/** The server's errors by the field they belong to. Those without a field of this form are left out. */
export function serverErrors(errors: readonly ProblemError[], schema: Schema): ReadonlyMap<string, string> {
  const known = new Set(schema.properties.map(([name]) => name))
  const placed = errors.map((error) => [fieldPath(error.path), error.message] as const)
  return new Map(placed.filter(([path]) => known.has(path.split('.')[0] ?? '')))
}
