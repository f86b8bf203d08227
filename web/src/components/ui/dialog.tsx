import { Dialog as Base } from '@base-ui/react/dialog'
import { X } from 'lucide-react'
import type { ReactNode } from 'react'
import { cn } from '@/lib/cn'
import { buttonClass } from './button'

type DialogProps = {
  open: boolean
  onOpenChange: (open: boolean) => void
  title: string
  description?: ReactNode
  children: ReactNode
  className?: string
}

/** A modal dialog: title, content, and whatever buttons the content ends with. */
export function Dialog({ open, onOpenChange, title, description, children, className }: DialogProps) {
  return (
    <Base.Root open={open} onOpenChange={onOpenChange}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-overlay" />
        <Base.Popup
          className={cn(
            'fixed top-[8vh] left-1/2 z-50 flex max-h-[84vh] w-[min(520px,calc(100vw-32px))] -translate-x-1/2 flex-col',
            'rounded-lg border border-line bg-surface text-input shadow-overlay outline-none',
            className,
          )}
        >
          <div className="flex items-start justify-between gap-4 px-4 pt-3">
            <div>
              <Base.Title className="text-section font-semibold">{title}</Base.Title>
              {description ? (
                <Base.Description className="text-body text-ink-2">{description}</Base.Description>
              ) : null}
            </div>
            <Base.Close
              aria-label="Close"
              className={buttonClass({ variant: 'ghost', size: 'icon' }, '-mr-2')}
            >
              <X aria-hidden />
            </Base.Close>
          </div>
          {children}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}

export function DialogBody({ children }: { children: ReactNode }) {
  return <div className="grid gap-4 overflow-auto px-4 py-4">{children}</div>
}

export function DialogActions({ children }: { children: ReactNode }) {
  return <div className="flex justify-end gap-2 border-t border-line px-4 py-3">{children}</div>
}
