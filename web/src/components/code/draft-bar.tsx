import type { ReactNode } from 'react'
import { Moment } from '@/components/moment'
import { Button } from '@/components/ui/button'
import { UnsavedGuard } from './unsaved-guard'
import type { Draft } from './use-draft'

type DraftBarProps = {
  draft: Draft
  /** What the writing starts from, in words. */
  from: string
  /** The version that is the latest now; null for something new. */
  latest: number | null
  error?: ReactNode
  /** What saves it. */
  children: ReactNode
}

/** Above an editor: where the draft stands, and the ways out of it. */
export function DraftBar({ draft, from, latest, error, children }: DraftBarProps) {
  const overtaken = latest !== null && draft.base !== null && latest > draft.base
  return (
    <section aria-label="Draft" className="border-b border-line bg-bg px-4 py-1.5">
      <div className="flex flex-wrap items-center gap-2">
        <p className="min-w-0 flex-1 text-ink-2">
          {from}. <Standing draft={draft} />
        </p>
        {draft.changed ? (
          <Button variant="ghost" onClick={draft.discard}>
            Discard draft
          </Button>
        ) : null}
        {children}
      </div>
      {overtaken ? (
        <p role="status" className="text-tx-failed">
          Version {latest} was saved meanwhile. Saving now makes version {latest + 1} without its changes.
        </p>
      ) : null}
      {error}
      {draft.unkept ? <UnsavedGuard /> : null}
    </section>
  )
}

function Standing({ draft }: { draft: Draft }) {
  if (draft.keptAt) {
    return (
      <>
        Draft kept in this browser <Moment at={draft.keptAt} />.
      </>
    )
  }
  if (!draft.changed) return 'Nothing changed yet.'
  return (
    <span className="text-tx-failed">This browser has no room for the draft: it is on this page only.</span>
  )
}
