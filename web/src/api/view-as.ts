import { useSyncExternalStore } from 'react'
import type { Role } from './generated/types.gen'

/** A project whose pages are shown as a role sees them. */
export type ViewAs = { project: string; role: Role }

let view: ViewAs | null = null
const listeners = new Set<() => void>()

function become(next: ViewAs | null): void {
  view = next
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Whose pages are shown; null: one's own. It is forgotten when the page is loaded anew. */
export const readViewAs = (): ViewAs | null => view

/** Show the pages of a project as a role sees them. Nothing is sent meanwhile that would change something. */
export const viewAs = (next: ViewAs): void => become(next)

export const viewAsOneself = (): void => become(null)

export const useViewAs = (): ViewAs | null => useSyncExternalStore(subscribe, readViewAs)
