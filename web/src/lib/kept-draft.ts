/** A text that somebody is writing, kept in this browser until it is saved or discarded. */
export type KeptDraft = { text: string; base: number | null; at: string }

const nameOf = (key: string): string => `sparkops-draft:${key}`

export function readDraft(key: string): KeptDraft | null {
  const stored = localStorage.getItem(nameOf(key))
  if (stored === null) return null
  try {
    const draft = JSON.parse(stored) as Partial<KeptDraft>
    if (typeof draft.text !== 'string' || typeof draft.at !== 'string') return null
    return { text: draft.text, at: draft.at, base: draft.base ?? null }
  } catch {
    return null
  }
}

/** False when the browser has no room for it. */
export function keepDraft(key: string, draft: KeptDraft): boolean {
  try {
    localStorage.setItem(nameOf(key), JSON.stringify(draft))
    return true
  } catch {
    return false
  }
}

export const dropDraft = (key: string): void => localStorage.removeItem(nameOf(key))
