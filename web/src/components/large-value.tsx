import { Download } from 'lucide-react'
import { useContext } from 'react'
import { requestBlob } from '@/api/client'
import type { GetValueData } from '@/api/generated/types.gen'
import { formatBytes } from '@/lib/format'
import { type Large, ValuesRun } from './large'
import { Button } from './ui/button'
import { toast } from './ui/toast'

const KEPT_MS = 60_000
const WORDS: Record<string, string> = { array: 'a list', object: 'an object', string: 'a text' }

async function download(runId: string, sha256: string): Promise<void> {
  const blob = await requestBlob<GetValueData>('/api/v1/runs/{run_id}/values/{sha256}', {
    path: { run_id: runId, sha256 },
  })
  const address = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = address
  link.download = `${sha256.slice(0, 12)}.json`
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS)
}

type LargeValueProps = { large: Large; path?: string }

/** In the place of a value that is too large to be shown: its size, its beginning, and the way to have it whole. */
export function LargeValue({ large, path = '' }: LargeValueProps) {
  const runId = useContext(ValuesRun)
  const save = (run: string) => () =>
    download(run, large.sha256).catch((error: Error) => toast(error.message, { bad: true }))
  return (
    <div className="grid gap-1 rounded-md bg-raised p-2">
      <div className="flex flex-wrap items-center gap-2">
        {path ? <code className="font-mono text-dense">{path}</code> : null}
        <span>
          {formatBytes(large.bytes)}, {WORDS[large.type] ?? 'a value'}
        </span>
        {runId ? (
          <Button
            size="sm"
            aria-label={path ? `Download ${path}` : 'Download the value'}
            onClick={save(runId)}
          >
            <Download aria-hidden />
            Download
          </Button>
        ) : null}
      </div>
      <code className="truncate font-mono text-dense text-ink-3">{large.preview}…</code>
    </div>
  )
}
