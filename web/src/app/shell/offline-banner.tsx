import { useSyncExternalStore } from 'react'
import { useLiveState } from '@/api/use-live'

function subscribe(listener: () => void): () => void {
  addEventListener('online', listener)
  addEventListener('offline', listener)
  return () => {
    removeEventListener('online', listener)
    removeEventListener('offline', listener)
  }
}

/** Says that this machine has no network, unless the server is heard all the same: it may run on this machine. */
export function OfflineBanner() {
  const online = useSyncExternalStore(subscribe, () => navigator.onLine)
  const { phase } = useLiveState()
  return (
    <div role="status" aria-label="Network">
      {online || phase === 'live' ? null : (
        <p className="border-b border-line bg-raised px-4 py-1.5 font-medium">
          You are offline. What you see may be old, and changes cannot be sent until the network is back.
        </p>
      )}
    </div>
  )
}
