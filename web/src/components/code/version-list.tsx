import { Link } from 'react-router'
import { Moment } from '@/components/moment'
import { cn } from '@/lib/cn'

type Version = { id: string; version: number; created_at: string; digest: string }
type VersionListProps = { versions: readonly Version[]; chosen: number }

/** Versions to choose from, the newest first. The choice goes into the address. */
export function VersionList({ versions, chosen }: VersionListProps) {
  return (
    <ul aria-label="Versions">
      {versions.map((one) => (
        <li key={one.id} className="border-b border-line">
          <Link
            to={`?version=${one.version}`}
            replace
            aria-current={one.version === chosen ? 'true' : undefined}
            className={cn(
              'block border-l-2 border-transparent px-3.5 py-2 hover:bg-raised focus-visible:outline-offset-[-2px]',
              'aria-[current]:border-l-ink aria-[current]:bg-raised',
            )}
          >
            <span className="font-medium">Version {one.version}</span>
            <span className="block text-dense text-ink-3">
              <Moment at={one.created_at} />
            </span>
            <code className="block truncate font-mono text-meta text-ink-3" title={one.digest}>
              {one.digest.slice(0, 12)}
            </code>
          </Link>
        </li>
      ))}
    </ul>
  )
}
