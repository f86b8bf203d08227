import type { ComponentProps } from 'react'
import { cn } from '@/lib/cn'

const VARIANTS = {
  primary: 'bg-ink text-surface border-ink hover:bg-ink-2 hover:border-ink-2',
  secondary: 'bg-surface text-ink border-line-strong hover:bg-raised',
  ghost: 'border-transparent text-ink-2 hover:bg-raised hover:text-ink',
  danger: 'bg-surface text-tx-failed border-line-strong hover:bg-raised',
  /** Only where a person's decision is waited for. */
  spark: 'bg-st-waiting text-on-spark border-st-waiting hover:brightness-95',
} as const

const SIZES = {
  md: 'h-7 px-2.5 gap-1.5',
  sm: 'h-6 px-2 gap-1 text-dense',
  icon: 'size-7 justify-center',
} as const

export type ButtonLook = { variant?: keyof typeof VARIANTS; size?: keyof typeof SIZES }

/** The looks of a button, for links that act as one. */
export function buttonClass({ variant = 'secondary', size = 'md' }: ButtonLook, className?: string): string {
  return cn(
    'inline-flex shrink-0 items-center rounded-md border font-medium whitespace-nowrap select-none',
    'disabled:opacity-50 disabled:pointer-events-none aria-disabled:opacity-50 [&>svg]:size-3.5',
    VARIANTS[variant],
    SIZES[size],
    className,
  )
}

export function Button({
  variant,
  size,
  className,
  type = 'button',
  ...rest
}: ComponentProps<'button'> & ButtonLook) {
  return <button type={type} className={buttonClass({ variant, size }, className)} {...rest} />
}
