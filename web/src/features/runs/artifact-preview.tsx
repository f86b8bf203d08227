import { useQuery } from '@tanstack/react-query'
import type { Artifact } from '@/api/generated/types.gen'
import { Markdown } from '@/components/markdown/markdown'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { fetchArtifact } from './api'
import { parseCsv } from './csv'

const LARGEST = 1_000_000
const ROWS_SHOWN = 500

type Preview =
  | { kind: 'text' | 'markdown'; text: string }
  | { kind: 'image'; address: string }
  | { kind: 'table'; rows: string[][] }

const isText = (type: string): boolean => /^text\/|json|yaml|xml|markdown/.test(type)
const isImage = (type: string): boolean => /^image\/(png|jpeg|gif|webp)/.test(type)

export const canPreview = ({ media_type: type, size_bytes: size }: Artifact): boolean =>
  size <= LARGEST && (isText(type) || isImage(type))

/** As a data address: the pages' policy allows images from there, and from nowhere else but ourselves. */
function dataAddress(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(String(reader.result))
    reader.onerror = () => reject(reader.error)
    reader.readAsDataURL(blob)
  })
}

async function load(artifact: Artifact, signal: AbortSignal): Promise<Preview> {
  const blob = await fetchArtifact(artifact.id, signal)
  if (isImage(artifact.media_type)) {
    return { kind: 'image', address: await dataAddress(new Blob([blob], { type: artifact.media_type })) }
  }
  const text = await blob.text()
  if (/csv/.test(artifact.media_type)) return { kind: 'table', rows: parseCsv(text) }
  return { kind: /markdown/.test(artifact.media_type) ? 'markdown' : 'text', text }
}

/** What is in an artifact: text as it is, a table as a table, an image as an image. */
export function ArtifactPreview({ artifact }: { artifact: Artifact }) {
  const shown = canPreview(artifact)
  const preview = useQuery({
    queryKey: ['artifact', artifact.id],
    queryFn: ({ signal }) => load(artifact, signal),
    enabled: shown,
    staleTime: Number.POSITIVE_INFINITY,
  })
  if (!shown)
    return <p className="p-4 text-ink-2">There is no preview of this kind of file. Download it to open it.</p>
  if (preview.isError) return <ProblemPanel error={preview.error} onRetry={() => void preview.refetch()} />
  if (!preview.data) return <SkeletonRows rows={6} height={26} />
  return (
    <section aria-label={`Preview of ${artifact.name}`} tabIndex={0} className="min-h-0 flex-1 overflow-auto">
      <Content preview={preview.data} name={artifact.name} />
    </section>
  )
}

function Content({ preview, name }: { preview: Preview; name: string }) {
  switch (preview.kind) {
    case 'image':
      return <img src={preview.address} alt={name} className="m-4 max-w-full border border-line" />
    case 'text':
      return <pre className="p-4 font-mono text-dense break-words whitespace-pre-wrap">{preview.text}</pre>
    case 'markdown':
      return (
        <div className="p-4">
          <Markdown text={preview.text} />
        </div>
      )
    case 'table':
      return <CsvTable rows={preview.rows} name={name} />
  }
}

function CsvTable({ rows, name }: { rows: string[][]; name: string }) {
  const [head = [], ...body] = rows
  return (
    <>
      <table aria-label={name} className="border-collapse text-left text-dense">
        <thead className="sticky top-0 bg-surface">
          <tr>
            {head.map((cell, column) => (
              <th key={column} scope="col" className="h-7 border-b border-line px-3 font-medium first:pl-4">
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {body.slice(0, ROWS_SHOWN).map((cells, row) => (
            <tr key={row} className="border-b border-line">
              {cells.map((cell, column) => (
                <td key={column} className="h-6.5 px-3 font-mono whitespace-nowrap first:pl-4">
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {body.length > ROWS_SHOWN ? (
        <p className="p-4 text-ink-2">
          The first {ROWS_SHOWN} of {body.length} rows.
        </p>
      ) : null}
    </>
  )
}
