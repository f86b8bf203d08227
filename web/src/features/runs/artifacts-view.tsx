import { useQuery } from '@tanstack/react-query'
import { Download } from 'lucide-react'
import { useState } from 'react'
import type { Artifact } from '@/api/generated/types.gen'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { cn } from '@/lib/cn'
import { formatBytes } from '@/lib/format'
import { artifactsQuery, fetchArtifact } from './api'
import { ArtifactPreview } from './artifact-preview'

const KEPT_MS = 60_000

async function download(artifact: Artifact): Promise<void> {
  const address = URL.createObjectURL(await fetchArtifact(artifact.id))
  const link = document.createElement('a')
  link.href = address
  link.download = artifact.name.split('/').at(-1) ?? artifact.name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS)
}

/** The files that a run has made, and what is in them. */
export function ArtifactsView({ runId }: { runId: string }) {
  const artifacts = useQuery(artifactsQuery(runId))
  const [chosen, setChosen] = useState<string | null>(null)
  if (artifacts.isError)
    return <ProblemPanel error={artifacts.error} onRetry={() => void artifacts.refetch()} />
  if (!artifacts.data) return <SkeletonRows rows={3} />
  const { items } = artifacts.data
  const shown = items.find((one) => one.id === chosen) ?? items[0]
  if (!shown) return <Empty title="No artifacts">No step of this run has written a file yet.</Empty>
  return (
    <div className="flex min-h-0 flex-1 max-md:flex-col">
      <ul aria-label="Artifacts" className="w-80 shrink-0 overflow-y-auto border-r border-line max-md:w-full">
        {items.map((one) => (
          <li key={one.id} className="border-b border-line">
            <button
              type="button"
              aria-current={one.id === shown.id}
              onClick={() => setChosen(one.id)}
              className={cn(
                'grid w-full px-4 py-2 text-left -outline-offset-2 hover:bg-raised',
                one.id === shown.id && 'bg-raised shadow-[inset_3px_0_0_var(--ink)]',
              )}
            >
              <span className="truncate font-medium">{one.name}</span>
              <span className="text-dense text-ink-3">
                Version {one.version}, {one.media_type}, {formatBytes(one.size_bytes)}
              </span>
            </button>
          </li>
        ))}
      </ul>
      <div className="flex min-w-0 flex-1 flex-col">
        <div className="flex items-center gap-3 border-b border-line px-4 py-1.5">
          <span className="min-w-0 truncate text-dense text-ink-2">
            Written <Moment at={shown.created_at} />, sha256{' '}
            <code className="font-mono">{shown.sha256.slice(0, 12)}</code>
          </span>
          <Button
            size="sm"
            className="ml-auto"
            aria-label={`Download ${shown.name}`}
            onClick={() => download(shown).catch((error: Error) => toast(error.message, { bad: true }))}
          >
            <Download aria-hidden />
            Download
          </Button>
        </div>
        <ArtifactPreview key={shown.id} artifact={shown} />
      </div>
    </div>
  )
}
