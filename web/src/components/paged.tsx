import type { ReactNode } from 'react'
import { ProblemPanel } from './problem-panel'
import { SkeletonRows } from './states'
import { Button } from './ui/button'

type PagedProps<T> = {
  found: {
    data: { pages: ReadonlyArray<{ items: readonly T[] }> } | undefined
    error: unknown
    isError: boolean
    hasNextPage: boolean
    isFetchingNextPage: boolean
    refetch: () => unknown
    fetchNextPage: () => unknown
  }
  /** How many rows its shape has while it loads. */
  skeleton?: number
  /** Said where there are none. */
  empty: ReactNode
  children: (rows: readonly T[]) => ReactNode
}

/** A list that comes in pages: its shape while it loads, what failed, what to say of none, and the way to more. */
export function Paged<T>({ found, skeleton = 6, empty, children }: PagedProps<T>) {
  if (!found.data) {
    if (found.isError) return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
    return <SkeletonRows rows={skeleton} />
  }
  const rows = found.data.pages.flatMap((page) => page.items)
  return (
    <>
      {rows.length === 0 ? empty : children(rows)}
      {found.hasNextPage ? (
        <Button
          className="m-3"
          disabled={found.isFetchingNextPage}
          onClick={() => void found.fetchNextPage()}
        >
          Load more
        </Button>
      ) : null}
    </>
  )
}
