import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { LinkShown } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { Skeleton } from '@/components/states'
import { paths } from '@/lib/paths'
import { linkQuery } from './api'

type LinkGateProps = {
  token: string
  purposes: ReadonlyArray<LinkShown['purpose']>
  children: (link: LinkShown) => ReactNode
}

/** Looks where a one-time link leads before anybody types; says so where it leads nowhere. */
export function LinkGate({ token, purposes, children }: LinkGateProps) {
  const link = useQuery({ ...linkQuery(token), enabled: token !== '' })
  if (token === '') return <Nowhere>The address is incomplete: open the whole link.</Nowhere>
  if (link.isError) return <Nowhere>{asProblem(link.error).detail}</Nowhere>
  if (!link.data) return <Skeleton className="h-24" />
  if (!purposes.includes(link.data.purpose)) return <Nowhere>This link is for something else.</Nowhere>
  return children(link.data)
}

function Nowhere({ children }: { children: ReactNode }) {
  return (
    <div className="grid gap-4">
      <p role="alert">{children}</p>
      <Link to={paths.login()} className="underline">
        Go to signing in
      </Link>
    </div>
  )
}
