import { Eye } from 'lucide-react'
import { useViewAs, viewAsOneself } from '@/api/view-as'
import { Button } from '@/components/ui/button'
import { ROLE_WORDS } from './may'

/** On every page of a project that is shown as a role sees it. */
export function ViewAsBar({ project }: { project: string }) {
  const view = useViewAs()
  return (
    <div role="status" aria-label="Preview of a role">
      {view?.project === project ? (
        <p className="flex flex-wrap items-center gap-x-3 border-b border-line bg-raised px-4 py-1.5">
          <Eye aria-hidden className="size-3.5 shrink-0" />
          <span className="min-w-0 flex-1">
            You see this project as <strong>{ROLE_WORDS[view.role].toLowerCase()}</strong>. Nothing is sent
            that would change something.
          </span>
          <Button size="sm" onClick={viewAsOneself}>
            Stop the preview
          </Button>
        </p>
      ) : null}
    </div>
  )
}
