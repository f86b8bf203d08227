import { Outlet } from 'react-router'
import type { Problem } from '@/api/generated/types.gen'
import { Mark } from './shell/mark'
import { OfflineBanner } from './shell/offline-banner'

/** Around every page. */
export function RootLayout() {
  return (
    <div className="flex h-full flex-col">
      <OfflineBanner />
      <div className="min-h-0 flex-1">
        <Outlet />
      </div>
    </div>
  )
}

/** While the first code is loaded and the session is looked up; with what keeps it from being found. */
export function Splash({ trouble }: { trouble?: Problem | undefined }) {
  return (
    <div className="appear-late grid h-full place-content-center justify-items-center gap-4 p-4">
      <div role="status" aria-label="Loading Spark-Ops" className="contents">
        <Mark className="size-8" />
        {trouble ? (
          <div className="max-w-96 text-center">
            <p className="font-medium">{trouble.title}</p>
            <p className="text-ink-2">{trouble.detail} This page keeps trying.</p>
          </div>
        ) : null}
      </div>
    </div>
  )
}
