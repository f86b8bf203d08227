/**
 * Many calls, little work: the work starts at once, never twice at a time, and a call that comes meanwhile
 * makes it run once more afterwards, `everyMs` after the last start at the earliest.
 */
export function coalesce(
  work: () => Promise<unknown>,
  everyMs: number,
): { call: () => void; stop: () => void } {
  let wanted = false
  let busy = false
  let stopped = false
  const start = () => {
    if (stopped) return
    busy = true
    wanted = false
    const pause = new Promise((resolve) => setTimeout(resolve, everyMs))
    void Promise.allSettled([work(), pause]).then(() => {
      busy = false
      if (wanted) start()
    })
  }
  const call = () => {
    wanted = true
    if (!busy) start()
  }
  const stop = () => {
    stopped = true
  }
  return { call, stop }
}
