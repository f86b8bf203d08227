import { X } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { Button } from './button'

type Toast = { id: number; text: string; bad: boolean }

const SHOWN_MS = 6000
let toasts: readonly Toast[] = []
let lastId = 0
const listeners = new Set<() => void>()

function set(next: readonly Toast[]): void {
  toasts = next
  for (const listener of listeners) listener()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

const dismiss = (id: number): void => set(toasts.filter((one) => one.id !== id))

/** Say in a few words what was done; a failure stays until it is dismissed. */
export function toast(text: string, { bad = false }: { bad?: boolean } = {}): void {
  lastId += 1
  const id = lastId
  set([...toasts, { id, text, bad }])
  if (!bad) setTimeout(() => dismiss(id), SHOWN_MS)
}

export function Toaster() {
  const shown = useSyncExternalStore(subscribe, () => toasts)
  return (
    <div role="status" aria-label="Notices" className="fixed right-4 bottom-4 z-50 grid gap-2">
      {shown.map((one) => (
        <div
          key={one.id}
          className="flex max-w-96 items-center gap-2 rounded-lg border border-line bg-surface py-1 pr-1 pl-3 shadow-overlay"
        >
          <span className={one.bad ? 'text-tx-failed' : undefined}>{one.text}</span>
          <Button variant="ghost" size="icon" aria-label="Dismiss" onClick={() => dismiss(one.id)}>
            <X aria-hidden />
          </Button>
        </div>
      ))}
    </div>
  )
}
