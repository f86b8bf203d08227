import type { ReactNode } from 'react'

type PartProps = { title: string; action?: ReactNode; children: ReactNode }

/** A part of the inspector, under a small heading. */
export function Part({ title, action, children }: PartProps) {
  return (
    <section aria-label={title} className="border-b border-line px-4 py-3">
      <div className="mb-1.5 flex h-6 items-center justify-between">
        <h3 className="text-dense font-medium text-ink-2">{title}</h3>
        {action}
      </div>
      {children}
    </section>
  )
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  )
}
