import type { ComponentProps } from 'react'
import { cn } from '@/lib/cn'

const BOX = cn(
  'w-full rounded-md border border-line-strong bg-bg px-2 text-input text-ink',
  'aria-invalid:border-st-failed disabled:opacity-60',
)

export function Input({ className, ...rest }: ComponentProps<'input'>) {
  return <input className={cn(BOX, 'h-7', className)} {...rest} />
}

export function Textarea({ className, ...rest }: ComponentProps<'textarea'>) {
  return <textarea className={cn(BOX, 'min-h-16 py-1', className)} {...rest} />
}

export function Select({ className, ...rest }: ComponentProps<'select'>) {
  return <select className={cn(BOX, 'h-7 pr-6', className)} {...rest} />
}
