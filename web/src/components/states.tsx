import type { ReactNode } from 'react'
import { cn } from '@/lib/cn'

/** Nothing here yet, or nothing that matches: says so, and offers the next thing to do. */
export function Empty({
  title,
  children,
  action,
}: {
  title: string
  children?: ReactNode
  action?: ReactNode
}) {
  return (
    <div className="flex flex-col items-start gap-2 px-4 py-12 md:pl-16">
      <h2 className="text-section font-semibold">{title}</h2>
      {children ? <div className="max-w-xl text-ink-2">{children}</div> : null}
      {action ? <div className="mt-2 flex gap-2">{action}</div> : null}
    </div>
  )
}

export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn('h-3 rounded-sm bg-raised', className)} />
}

/** The shape of a list that is being loaded. */
export function SkeletonRows({ rows = 12, height = 32 }: { rows?: number; height?: number }) {
  return (
    <div role="status" aria-label="Loading" className="appear-late">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="flex items-center gap-6 border-b border-line px-4" style={{ height }}>
          <Skeleton className="w-24" />
          <Skeleton className={row % 3 === 0 ? 'w-64' : 'w-48'} />
          <Skeleton className="ml-auto w-16" />
        </div>
      ))}
    </div>
  )
}
