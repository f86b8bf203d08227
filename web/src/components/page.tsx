import type { ReactNode } from 'react'

type PageHeaderProps = { title: ReactNode; facts?: ReactNode; actions?: ReactNode }

/** The head of a page: what it is, facts in one line, and at most one primary action. */
export function PageHeader({ title, facts, actions }: PageHeaderProps) {
  return (
    <header className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 border-b border-line bg-surface px-4 py-3">
      <div className="min-w-0">
        <h1 className="text-title font-semibold tracking-[-0.01em]">{title}</h1>
        {facts ? <div className="text-ink-2">{facts}</div> : null}
      </div>
      {actions ? <div className="flex items-center gap-2">{actions}</div> : null}
    </header>
  )
}

/** A scrolling page: header on top, content below to the edges. */
export function Page({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <title>{`${title} · Spark-Ops`}</title>
      <div className="flex min-h-full flex-col bg-surface">{children}</div>
    </>
  )
}
