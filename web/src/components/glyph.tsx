import type { ReactNode } from 'react'
import { cn } from '@/lib/cn'

/** The eight looks of a state. Each has a colour and a shape of its own, so none is told by colour alone. */
export type Tone =
  | 'succeeded'
  | 'running'
  | 'waiting'
  | 'failed'
  | 'denied'
  | 'queued'
  | 'cancelled'
  | 'skipped'

export const TONE_TEXT = {
  succeeded: 'text-tx-succeeded',
  running: 'text-tx-running',
  waiting: 'text-tx-waiting',
  failed: 'text-tx-failed',
  denied: 'text-tx-denied',
  queued: 'text-tx-queued',
  cancelled: 'text-tx-cancelled',
  skipped: 'text-tx-skipped',
} satisfies Record<Tone, string>

const LINE = { fill: 'none', strokeWidth: 1.6, strokeLinecap: 'round' } as const
const CUT = { ...LINE, stroke: 'var(--surface)' }

const SHAPES: Record<Tone, ReactNode> = {
  succeeded: (
    <>
      <circle cx="8" cy="8" r="6.5" fill="var(--st-succeeded)" />
      <path d="m5.2 8.2 2 2 3.6-4.2" {...CUT} strokeLinejoin="round" />
    </>
  ),
  running: (
    <>
      <circle cx="8" cy="8" r="5.8" {...LINE} stroke="var(--st-running)" />
      <circle cx="8" cy="8" r="2.6" fill="var(--st-running)" />
    </>
  ),
  waiting: (
    <>
      <path
        d="M8 1.2 14.8 8 8 14.8 1.2 8z"
        fill="var(--st-waiting)"
        stroke="var(--tx-waiting)"
        strokeLinejoin="round"
      />
      <path d="M8 4.8v3.8M8 10.9v.2" {...LINE} stroke="var(--on-spark)" />
    </>
  ),
  failed: (
    <>
      <rect x="1.8" y="1.8" width="12.4" height="12.4" rx="1.5" fill="var(--st-failed)" />
      <path d="m5.6 5.6 4.8 4.8m0-4.8-4.8 4.8" {...CUT} />
    </>
  ),
  denied: (
    <>
      <path d="M8 1.2 14 3v4.6c0 3.6-2.4 5.9-6 7.2-3.6-1.3-6-3.6-6-7.2V3z" fill="var(--st-denied)" />
      <path d="M5.2 7.8h5.6" {...CUT} />
    </>
  ),
  queued: <circle cx="8" cy="8" r="5.8" {...LINE} stroke="var(--st-queued)" strokeDasharray="1.6 3" />,
  cancelled: (
    <>
      <circle cx="8" cy="8" r="5.8" {...LINE} stroke="var(--st-cancelled)" />
      <path d="m4 12 8-8" {...LINE} stroke="var(--st-cancelled)" />
    </>
  ),
  skipped: <path d="M3.5 8h9" {...LINE} strokeWidth={2} stroke="var(--tx-skipped)" />,
}

/** The sign of a state. Without a label it is decoration beside text that says the same. */
export function Glyph({ tone, label, className }: { tone: Tone; label?: string; className?: string }) {
  const look = { viewBox: '0 0 16 16', className: cn('size-3.5 shrink-0', className) }
  if (label === undefined) {
    return (
      <svg aria-hidden="true" {...look}>
        {SHAPES[tone]}
      </svg>
    )
  }
  return (
    <svg role="img" aria-label={label} {...look}>
      <title>{label}</title>
      {SHAPES[tone]}
    </svg>
  )
}

export type Face = { label: string; tone: Tone }

/** A state as sign and word. */
export function Status({ face, className }: { face: Face; className?: string }) {
  return (
    <span
      className={cn(
        'inline-flex items-center gap-1.5 align-middle font-medium',
        TONE_TEXT[face.tone],
        className,
      )}
    >
      <Glyph tone={face.tone} />
      {face.label}
    </span>
  )
}
