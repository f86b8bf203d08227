import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { ProblemPanel } from './problem-panel'
import { SkeletonRows } from './states'
import { Button } from './ui/button'

type BesideProps = {
  /** Filters, and what else stands over the list. */
  bar: ReactNode
  /** What is known of the chosen one, if one is chosen. */
  inspector: ReactNode
  children: ReactNode
}

/** A list that scrolls by itself, with its filters over it and the chosen row beside it. */
export function ListBeside({ bar, inspector, children }: BesideProps) {
  return (
    <div className="relative flex min-h-0 flex-1">
      <div className="flex min-w-0 flex-1 flex-col">
        {bar}
        <div className="min-h-0 flex-1 overflow-auto">{children}</div>
      </div>
      {inspector}
    </div>
  )
}

/** The filters over a list. On a phone two of them share a line. */
export function FilterBar({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div
      role="search"
      aria-label={label}
      className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-1 max-md:[&>input]:basis-[calc(50%-4px)] max-md:[&>select]:w-[calc(50%-4px)]"
    >
      {children}
    </div>
  )
}

type InspectorProps<T> = {
  title: string
  found: {
    data: T | undefined
    error: unknown
    isError: boolean
    isPending: boolean
    refetch: () => unknown
  }
  onClose: () => void
  children: (data: T) => ReactNode
}

/** What is known of one row of a list, beside it; over it where there is no room. */
export function Inspector<T>({ title, found, onClose, children }: InspectorProps<T>) {
  return (
    <aside
      aria-label={title}
      className="flex w-[420px] max-w-full shrink-0 flex-col overflow-y-auto border-l border-line bg-surface max-lg:absolute max-lg:inset-y-0 max-lg:right-0 max-lg:z-10 max-lg:shadow-overlay"
    >
      <div className="flex h-9 shrink-0 items-center justify-between border-b border-line pr-1 pl-4">
        <h2 className="font-medium">{title}</h2>
        <Button variant="ghost" size="icon" aria-label="Close" onClick={onClose}>
          <X aria-hidden />
        </Button>
      </div>
      {found.isError ? <ProblemPanel error={found.error} onRetry={() => void found.refetch()} /> : null}
      {found.isPending ? <SkeletonRows rows={8} /> : null}
      {found.data === undefined ? null : children(found.data)}
    </aside>
  )
}

export function Facts({ children }: { children: ReactNode }) {
  return <dl className="grid grid-cols-[96px_minmax(0,1fr)] gap-x-3 gap-y-1 text-dense">{children}</dl>
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  )
}
