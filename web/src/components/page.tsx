import type { ReactNode } from 'react'
import { Link } from 'react-router'

type PageHeaderProps = {
  title: ReactNode
  /** The list that this is one of. */
  within?: { to: string; label: string }
  facts?: ReactNode
  actions?: ReactNode
}

/** The head of a page: what it is, facts in one line, and at most one primary action. */
export function PageHeader({ title, within, facts, actions }: PageHeaderProps) {
  return (
    <header className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 border-b border-line bg-surface px-4 py-3">
      <div className="min-w-0">
        <h1 className="text-title font-semibold tracking-[-0.01em] break-words">
          {within ? (
            <>
              <Link to={within.to} className="text-ink-2 hover:text-ink">
                {within.label}
              </Link>
              <span className="text-ink-3"> / </span>
            </>
          ) : null}
          {title}
        </h1>
        {facts ? <div className="text-ink-2">{facts}</div> : null}
      </div>
      {actions ? <div className="flex flex-wrap items-center gap-2">{actions}</div> : null}
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

/** A part of a page under a title of its own, to the edges. */
export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title}>
      <h2 className="border-b border-line bg-bg px-4 py-1.5 text-dense font-medium text-ink-2">{title}</h2>
      {children}
    </section>
  )
}

type ActRowProps = { title?: string; children: ReactNode; act: ReactNode }

/** Something that can be done, in words, with the button that does it at the end of the row. */
export function ActRow({ title, children, act }: ActRowProps) {
  return (
    <div className="flex flex-wrap items-start gap-x-8 gap-y-2 border-b border-line px-4 py-3">
      <div className="min-w-56 flex-1">
        {title ? <h3 className="font-semibold">{title}</h3> : null}
        <p className="max-w-2xl text-ink-2">{children}</p>
      </div>
      {act}
    </div>
  )
}
