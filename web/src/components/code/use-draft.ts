import { useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { dropDraft, type KeptDraft, keepDraft, readDraft } from '@/lib/kept-draft'

/** So long after the last key a text is taken as settled, and worth checking. */
const SETTLED_MS = 400

type Start = { text: string; base: number | null }
export type Draft = {
  text: string
  /** The text when the typing last paused. */
  settled: string
  /** The version that the writing started from. */
  base: number | null
  /** When the draft was kept in this browser; null while there is nothing to keep. */
  keptAt: string | null
  /** Whether there is anything to save. */
  changed: boolean
  /** Whether it is changed and the browser could not keep it: it is on this page only. */
  unkept: boolean
  /** Changes whenever the editor has to begin again with another text. */
  round: number
  change: (text: string) => void
  discard: () => void
  /** The text is saved: there is nothing to keep any more. */
  saved: () => void
}

/** A text in work. What was left unsaved under this key in this browser is taken up again. */
export function useDraft(key: string, start: Start): Draft {
  // What it started from stays, also when a newer version is read meanwhile: the text does not have its changes.
  const [begun, setBegun] = useState(start)
  const [kept, setKept] = useState<KeptDraft | null>(() => readDraft(key))
  const [text, setText] = useState(kept?.text ?? start.text)
  const [settled, setSettled] = useState(text)
  const [round, setRound] = useState(0)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const base = kept ? kept.base : begun.base

  const settle = (next: string, inMs: number) => {
    clearTimeout(timer.current)
    timer.current = setTimeout(() => setSettled(next), inMs)
  }
  const forget = () => {
    dropDraft(key)
    setKept(null)
  }
  const change = (next: string) => {
    setText(next)
    settle(next, SETTLED_MS)
    if (next === begun.text && base === begun.base) return forget()
    const draft = { text: next, base, at: new Date().toISOString() }
    setKept(keepDraft(key, draft) ? draft : null)
  }
  const discard = () => {
    forget()
    setBegun(start)
    setText(start.text)
    settle(start.text, 0)
    setRound((past) => past + 1)
  }
  const saved = () => {
    // At once, because what follows a save is often leaving the page: nothing is unsaved by then.
    flushSync(() => {
      forget()
      setBegun({ text, base })
    })
  }
  const unkept = kept === null && text !== begun.text
  const changed = kept !== null || unkept
  return { text, settled, base, keptAt: kept?.at ?? null, changed, unkept, round, change, discard, saved }
}
