import { useState } from 'react'
import type { RunSummary } from '@/api/generated/types.gen'

export type Accepted = { key: string; newest: string | null }

/** Which runs are shown and how many newer ones wait behind the bar. Ids sort by time. */
export function splitNew(
  rows: readonly RunSummary[],
  newest: string | null,
): { shown: RunSummary[]; newer: number } {
  if (newest === null) return { shown: [...rows], newer: 0 }
  const shown = rows.filter((row) => row.id <= newest)
  return { shown, newer: rows.length - shown.length }
}

/**
 * Keeps new runs from pushing rows away under the pointer: they wait until they are asked for.
 *
 * `key` names the list: with other filters everything is shown at once. `fresh` says that the rows come from the
 * server since the page was opened; older ones are not yet what the viewer agreed to see.
 */
export function useAccepted(key: string, rows: readonly RunSummary[], fresh: boolean) {
  const [accepted, setAccepted] = useState<Accepted>({ key, newest: null })
  const current = accepted.key === key ? accepted.newest : null
  const newest = rows[0]?.id ?? null
  if (fresh && newest !== null && current === null) setAccepted({ key, newest })
  const { shown, newer } = splitNew(rows, current)
  return { shown, newer, accept: () => setAccepted({ key, newest }) }
}
