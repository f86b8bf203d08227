import { useEffect, useId } from 'react'

/** `keys`: one key as in `event.key`, or a sequence such as `g r`. */
export type Hotkey = { keys: string; label: string; run: () => void }
type Group = { title: string; hotkeys: readonly Hotkey[] }

const SEQUENCE_MS = 1200
const groups = new Map<string, Group>()
let pending = { key: '', at: 0 }

/** While the caller is shown its keys work, and the sheet of keys lists them under `title`. */
export function useHotkeys(title: string, hotkeys: readonly Hotkey[]): void {
  const id = useId()
  useEffect(() => {
    // After every render: what a key does depends on what is shown.
    groups.set(id, { title, hotkeys })
  })
  useEffect(() => () => void groups.delete(id), [id])
}

/** The keys that work now, for the sheet that explains them. */
export const readHotkeys = (): readonly Group[] => [...groups.values()]

/** Answers the keys of all groups until the returned function is called. */
export function listenToHotkeys(target: Document): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || isForOthers(event)) return
    const hotkey = find(event.key, event.timeStamp)
    if (!hotkey) return
    event.preventDefault()
    hotkey.run()
  }
  target.addEventListener('keydown', onKey)
  return () => target.removeEventListener('keydown', onKey)
}

/** Keys with modifiers, keys that write text, and keys while a dialog or a menu is open mean something else. */
function isForOthers(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true
  const at = event.target
  if (at instanceof Element && at.closest('input, textarea, select, [contenteditable="true"]')) return true
  return document.querySelector('[role="dialog"], [role="alertdialog"], [role="menu"]') !== null
}

function find(key: string, at: number): Hotkey | undefined {
  const all = [...groups.values()].flatMap((group) => group.hotkeys)
  const named = (keys: string) => all.findLast((one) => one.keys.toLowerCase() === keys.toLowerCase())
  const sequence = pending.key && at - pending.at < SEQUENCE_MS ? named(`${pending.key} ${key}`) : undefined
  pending = { key: sequence ? '' : key, at }
  return sequence ?? named(key)
}
