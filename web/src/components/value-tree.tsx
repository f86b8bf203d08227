import { cn } from '@/lib/cn'
import { asLarge } from './large'
import { LargeValue } from './large-value'
import { asRows, ValueRows } from './value-rows'

/** Parts of a value at this depth and below are folded at first. */
const OPEN_TO_DEPTH = 3

const isBranch = (value: unknown): value is object => typeof value === 'object' && value !== null
const isEmpty = (value: object): boolean => Object.keys(value).length === 0

/** A value as names and what they hold, to be read by people. */
export function ValueTree({ value, depth = 0 }: { value: unknown; depth?: number }) {
  const large = asLarge(value)
  if (large) return <LargeValue large={large} />
  const rows = asRows(value)
  if (rows) return <ValueRows label="Rows" rows={rows} />
  if (!isBranch(value) || isEmpty(value)) return <Leaf value={value} />
  return (
    <dl className={cn('grid min-w-0 gap-y-1', depth > 0 && 'border-l border-line pl-3')}>
      {Object.entries(value).map(([name, part]: [string, unknown]) => (
        <Entry
          key={name}
          name={Array.isArray(value) ? `${Number(name) + 1}.` : name}
          part={part}
          depth={depth}
        />
      ))}
    </dl>
  )
}

function Entry({ name, part, depth }: { name: string; part: unknown; depth: number }) {
  if (!isBranch(part) || isEmpty(part)) {
    return (
      <div className="grid grid-cols-[minmax(24px,max-content)_minmax(0,1fr)] gap-3">
        <dt className="max-w-48 min-w-16 truncate text-ink-2" title={name}>
          {name}
        </dt>
        <dd className="min-w-0">
          <Leaf value={part} />
        </dd>
      </div>
    )
  }
  return (
    <div>
      <dt className="sr-only">{name}</dt>
      <dd>
        <details open={depth < OPEN_TO_DEPTH}>
          <summary className="text-ink-2">
            {name} <span className="text-dense text-ink-3">{sizeOf(part)}</span>
          </summary>
          <div className="mt-1 ml-1">
            <ValueTree value={part} depth={depth + 1} />
          </div>
        </details>
      </dd>
    </div>
  )
}

function sizeOf(value: object): string {
  const size = Object.keys(value).length
  if (Array.isArray(value)) return size === 1 ? '1 item' : `${size} items`
  return size === 1 ? '1 field' : `${size} fields`
}

function Leaf({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span className="text-ink-3">nothing</span>
  if (isBranch(value))
    return <span className="text-ink-3">{Array.isArray(value) ? 'empty list' : 'empty'}</span>
  if (typeof value !== 'string') return <code className="font-mono text-dense">{String(value)}</code>
  if (value === '') return <span className="text-ink-3">empty text</span>
  if (!value.includes('\n')) return <span className="break-words">{value}</span>
  return (
    <pre className="rounded-md bg-raised p-2 font-mono text-dense break-words whitespace-pre-wrap">
      {value}
    </pre>
  )
}
