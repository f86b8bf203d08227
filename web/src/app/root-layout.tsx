import { Outlet } from 'react-router'
import { Mark } from './shell/mark'

/** Around every page. */
export function RootLayout() {
  return <Outlet />
}

/** While the first code is loaded and the session is looked up. */
export function Splash() {
  return (
    <div role="status" aria-label="Loading Spark-Ops" className="appear-late grid h-full place-items-center">
      <Mark className="size-8" />
    </div>
  )
}
