import type { ReactNode } from 'react'
import { Mark } from './mark'

/** A page for people who are not signed in: the mark, where they are, and one form. */
export function Entrance({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="grid min-h-full place-items-center p-4">
      <title>{`${title} · Spark-Ops`}</title>
      <div className="w-full max-w-80 pb-[10vh]">
        <div className="mb-6 flex items-center gap-3">
          <Mark className="size-8" />
          <div>
            <h1 className="text-title font-semibold tracking-[-0.01em]">{title}</h1>
            <p className="font-mono text-dense text-ink-3">{location.host}</p>
          </div>
        </div>
        <div className="rounded-lg border border-line bg-surface p-5">{children}</div>
      </div>
    </main>
  )
}
