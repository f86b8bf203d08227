import type { ReactNode } from 'react'

/** One part of a question, under its heading. */
export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section aria-label={title} className="border-t border-line px-4 py-3">
      <h3 className="mb-2 text-dense font-medium text-ink-2">{title}</h3>
      {children}
    </section>
  )
}
