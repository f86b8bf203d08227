import { useInfiniteQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { usePolling } from '@/api/use-live'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { plural } from '@/lib/format'
import { useAccepted } from './accepted'
import { type RunFilters, runsQuery } from './api'
import { filterWords, isFiltered } from './filters'
import { RunList } from './run-list'

const POLL_MS = 5000
const NOBODY: ReadonlySet<string> = new Set()

type RunsViewProps = {
  project: string
  filters: RunFilters
  onFilters: (filters: RunFilters) => void
  /** The runs in which something waits for a person. */
  waiting?: ReadonlySet<string>
  /** What to offer where there is no run yet. */
  start: ReactNode
}

/** The list of runs in all its states: loading, failed, empty, filtered empty, and rows. */
export function RunsView({ project, filters, onFilters, waiting = NOBODY, start }: RunsViewProps) {
  const poll = usePolling(POLL_MS)
  const runs = useInfiniteQuery({ ...runsQuery(project, filters), refetchInterval: poll })
  const rows = runs.data?.pages.flatMap((page) => page.items) ?? []
  const key = JSON.stringify([project, filters])
  const { shown, newer, accept } = useAccepted(key, rows, runs.isFetchedAfterMount && !runs.isPending)
  if (runs.isPending) return <SkeletonRows rows={16} />
  if (runs.isError && rows.length === 0)
    return <ProblemPanel error={runs.error} onRetry={() => void runs.refetch()} />
  if (rows.length === 0 && isFiltered(filters)) return <NoMatch filters={filters} onFilters={onFilters} />
  if (rows.length === 0) {
    return (
      <Empty title="No runs yet" action={start}>
        A run is one execution of a workflow. Start one here, or with{' '}
        <code className="font-mono">POST /api/v1/runs</code>.
      </Empty>
    )
  }
  return (
    <>
      {newer > 0 ? (
        <button
          type="button"
          onClick={accept}
          className="border-b border-line bg-raised py-1 text-center font-medium"
        >
          Show {plural(newer, 'new run')}
        </button>
      ) : null}
      <RunList project={project} runs={shown} waiting={waiting} />
      {runs.hasNextPage ? (
        <div className="p-4">
          <Button onClick={() => void runs.fetchNextPage()} disabled={runs.isFetchingNextPage}>
            {runs.isFetchingNextPage ? 'Loading' : 'Load more'}
          </Button>
        </div>
      ) : null}
      {runs.isError ? <ProblemPanel error={runs.error} onRetry={() => void runs.refetch()} /> : null}
    </>
  )
}

function NoMatch({ filters, onFilters }: Pick<RunsViewProps, 'filters' | 'onFilters'>) {
  return (
    <Empty
      title="No run matches"
      action={filterWords(filters).map(({ words, without }) => (
        <Button key={words} onClick={() => onFilters(without)}>
          Without {words}
        </Button>
      ))}
    >
      There are no runs with{' '}
      {filterWords(filters)
        .map(({ words }) => words)
        .join(', ')}
      .
    </Empty>
  )
}
