import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'react-router'
import type { Run, SourceKind } from '@/api/generated/types.gen'
import { isOver, RUN_FACE } from '@/components/faces'
import { Glyph } from '@/components/glyph'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { madeFromQuery } from './api'

const MADE = {
  retry: 'Retry of',
  fork: 'Fork of',
  rerun: 'Re-run of',
} satisfies Record<SourceKind, string>
const LATER = { retry: 'retry', fork: 'fork', rerun: 're-run' } satisfies Record<SourceKind, string>
const SHOWN = 4

/** Where a run comes from and what was made of it: the step that started it, its source, its retries and forks. */
export function Lineage({ run }: { run: Run }) {
  const later = useQuery({ ...madeFromQuery(run.project, run.id), enabled: isOver(run.status) })
  const made = later.data?.items ?? []
  if (run.parent === null && run.source === null && made.length === 0) return null
  return (
    <nav aria-label="Lineage" className="flex flex-wrap items-center gap-x-3 text-dense">
      {run.parent ? (
        <span>
          Started by step{' '}
          <RunLink to={`${paths.run(run.project, run.parent.run_id)}?step=${run.parent.step_id}`}>
            {run.parent.step_key}
          </RunLink>{' '}
          of run{' '}
          <RunLink to={paths.run(run.project, run.parent.run_id)}>{shortId(run.parent.run_id)}</RunLink>
        </span>
      ) : null}
      {run.source ? (
        <span>
          {MADE[run.source.kind]} run{' '}
          <RunLink to={paths.run(run.project, run.source.run_id)}>{shortId(run.source.run_id)}</RunLink>
        </span>
      ) : null}
      {made.length > 0 ? (
        <span className="flex flex-wrap items-center gap-x-2">
          Made from it:
          {made.slice(0, SHOWN).map((one) => (
            <span key={one.id} className="flex items-center gap-1">
              <Glyph tone={RUN_FACE[one.status].tone} label={RUN_FACE[one.status].label} />
              <RunLink to={paths.run(run.project, one.id)}>
                {one.source ? `${LATER[one.source.kind]} ` : ''}
                {shortId(one.id)}
              </RunLink>
            </span>
          ))}
          {made.length > SHOWN ? <span>and {made.length - SHOWN} more</span> : null}
        </span>
      ) : null}
    </nav>
  )
}

function RunLink({ to, children }: { to: string; children: ReactNode }) {
  return (
    <Link to={to} className="font-medium underline underline-offset-2 hover:text-ink">
      {children}
    </Link>
  )
}
