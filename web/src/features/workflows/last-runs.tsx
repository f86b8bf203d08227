import type { RunSummary } from '@/api/generated/types.gen'
import { RUN_FACE } from '@/components/faces'
import { Glyph } from '@/components/glyph'
import { formatRelative } from '@/lib/format'

const SHOWN = 8

type LastRunsProps = { runs: readonly RunSummary[] | undefined }

/** How the last runs of one workflow ended, the newest at the right. */
export function LastRuns({ runs }: LastRunsProps) {
  if (runs === undefined) return null
  if (runs.length === 0) return <span className="text-ink-3">No run lately</span>
  const shown = runs.slice(0, SHOWN).reverse()
  const now = Date.now()
  return (
    <ul aria-label="Last runs" className="flex items-center gap-1">
      {shown.map((run) => (
        <li key={run.id} title={`${RUN_FACE[run.status].label}, ${formatRelative(run.created_at, now)}`}>
          <Glyph tone={RUN_FACE[run.status].tone} label={RUN_FACE[run.status].label} />
        </li>
      ))}
    </ul>
  )
}
