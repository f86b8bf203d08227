import { cn } from '@/lib/cn'
import { amount, type Fill, percent, share } from './words'

/** How full a limit is: what is spent, then what is held, then what is left. */
export function FillBar({ fill, className }: { fill: Fill; className?: string }) {
  const { kind, limit, used, held } = fill
  const full = limit === 0 ? 1 : limit
  const spent = Math.min(used / full, 1)
  const reserved = Math.min(held / full, 1 - spent)
  const over = share(fill) >= 1
  const label = `${amount(kind, used)} of ${amount(kind, limit)} used${held > 0 ? `, ${amount(kind, held)} held` : ''}`
  return (
    <span
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.min(Math.floor(share(fill) * 100), 100)}
      aria-valuetext={`${label}, ${percent(share(fill))}`}
      title={label}
      className={cn('inline-flex h-2 w-full overflow-hidden rounded-sm bg-raised align-middle', className)}
    >
      <span className={over ? 'bg-st-failed' : 'bg-ok-bar'} style={{ width: `${spent * 100}%` }} />
      <span className="bg-line-strong" style={{ width: `${reserved * 100}%` }} />
    </span>
  )
}

/** A limit in words beside its bar. */
export function FillLine({ fill }: { fill: Fill }) {
  const { kind, limit, used, held } = fill
  return (
    <div className="grid grid-cols-[minmax(120px,1fr)_2fr_64px] items-center gap-3">
      <span className="tabular-nums">
        {amount(kind, used)} <span className="text-ink-3">of {amount(kind, limit)}</span>
        {held > 0 ? <span className="text-ink-3">, {amount(kind, held)} held</span> : null}
      </span>
      <FillBar fill={fill} />
      <span className="text-right tabular-nums">{percent(share(fill))}</span>
    </div>
  )
}
