import { useState } from 'react'
import { formatBytes } from '@/lib/format'
import { asLarge, largeParts } from './large'
import { LargeValue } from './large-value'
import { Button } from './ui/button'

/** So much text is laid out at once; more only when it is asked for. */
const SHOWN = 20_000

/** A value as text: a text as it is, everything else as JSON. */
export function valueText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? '')
}

/** As `valueText`, with the size of what is too large to be shown in its place. */
const shownText = (value: unknown): string =>
  typeof value === 'string'
    ? value
    : (JSON.stringify(value, (_, part: unknown) => sizeOf(part) ?? part, 2) ?? '')

function sizeOf(value: unknown): string | null {
  const large = asLarge(value)
  return large && `${formatBytes(large.bytes)}, see below`
}

type JsonViewProps = { label: string; value: unknown; className?: string }

/** A value to read and to copy. */
export function JsonView({ label, value, className }: JsonViewProps) {
  const [whole, setWhole] = useState(false)
  const large = largeParts(value)
  if (large[0]?.path === '') return <LargeValue large={large[0].large} />
  const text = large.length > 0 ? shownText(value) : valueText(value)
  const cut = !whole && text.length > SHOWN
  return (
    <div className={className}>
      <section
        aria-label={label}
        tabIndex={0}
        className="max-h-[60vh] overflow-auto rounded-md bg-raised p-2"
      >
        <pre className="font-mono text-dense break-words whitespace-pre-wrap">
          {cut ? text.slice(0, SHOWN) : text}
        </pre>
      </section>
      {cut ? (
        <Button size="sm" className="mt-1" onClick={() => setWhole(true)}>
          Show all {text.length.toLocaleString('en-US')} characters
        </Button>
      ) : null}
      {large.map((part) => (
        <div key={part.path} className="mt-1">
          <LargeValue large={part.large} path={part.path} />
        </div>
      ))}
    </div>
  )
}
