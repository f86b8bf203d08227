import { cn } from '@/lib/cn'

/** The mark of Spark-Ops. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 20 20" aria-hidden className={cn('size-5', className)}>
      <rect width="20" height="20" rx="4" fill="var(--ink)" />
      <path d="M11.6 3 5.4 11.2h3.7L8.2 17l6.4-8.6h-3.9z" fill="var(--mark)" />
    </svg>
  )
}
