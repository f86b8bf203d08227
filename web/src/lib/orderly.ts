/**
 * A request as text that can be compared line by line: names sorted, each value on a line of its own, a text of several
 * lines as it is.
 */
export const orderly = (value: unknown): string => linesOf(value).join('\n')

function linesOf(value: unknown): string[] {
  if (typeof value === 'string' && value.includes('\n')) return ['|', ...value.split('\n').map(indented)]
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0)
    return [JSON.stringify(value) ?? 'nothing']
  const entries = Array.isArray(value)
    ? value.map((part: unknown, place) => [`${place + 1}`, part] as const)
    : Object.entries(value).sort(([a], [b]) => a.localeCompare(b))
  return entries.flatMap(([name, part]) => {
    const [first = '', ...rest] = linesOf(part)
    const branch = typeof part === 'object' && part !== null && Object.keys(part).length > 0
    return branch ? [`${name}:`, ...[first, ...rest].map(indented)] : [`${name}: ${first}`, ...rest]
  })
}

const indented = (line: string): string => `  ${line}`
