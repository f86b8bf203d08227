import { useCallback, useSyncExternalStore } from 'react'

/** The time, read again every `everyMs`; null: once a render only. */
export function useNow(everyMs: number | null): number {
  const subscribe = useCallback(
    (tick: () => void) => {
      if (everyMs === null) return () => {}
      const timer = setInterval(tick, everyMs)
      return () => clearInterval(timer)
    },
    [everyMs],
  )
  // Rounded down, so that all clocks of one page agree and one render sees one time.
  const step = Math.min(everyMs ?? 1000, 1000)
  return useSyncExternalStore(subscribe, () => Math.floor(Date.now() / step) * step)
}
