import { Menu as Base } from '@base-ui/react/menu'
import { Check } from 'lucide-react'
import type { ReactNode } from 'react'
import { cn } from '@/lib/cn'

const ITEM = cn(
  'flex h-7 items-center gap-2 rounded-sm px-2 outline-none select-none data-highlighted:bg-raised',
  'cursor-pointer [&>svg]:size-3.5 [&>svg]:text-ink-3',
)

type MenuProps = {
  label: string
  trigger: ReactNode
  className?: string
  align?: 'start' | 'end'
  children: ReactNode
}

/** A button that opens a menu; `label` is the button's accessible name. */
export function Menu({ label, trigger, className, align = 'end', children }: MenuProps) {
  return (
    <Base.Root>
      <Base.Trigger aria-label={label} className={className}>
        {trigger}
      </Base.Trigger>
      <Base.Portal>
        <Base.Positioner align={align} sideOffset={6} className="z-50">
          <Base.Popup className="min-w-48 rounded-lg border border-line bg-surface p-1 shadow-overlay outline-none">
            {children}
          </Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}

export function MenuItem({ onSelect, children }: { onSelect: () => void; children: ReactNode }) {
  return (
    <Base.Item className={ITEM} onClick={onSelect}>
      {children}
    </Base.Item>
  )
}

type ChoiceProps<V extends string> = {
  label: string
  value: V
  options: ReadonlyArray<{ value: V; label: string }>
  onChange: (value: V) => void
}

/** One of several, with a tick at the chosen one. */
export function MenuChoice<V extends string>({ label, value, options, onChange }: ChoiceProps<V>) {
  return (
    <Base.RadioGroup value={value} onValueChange={(next: V) => onChange(next)}>
      <Base.GroupLabel className="px-2 pt-1 text-meta text-ink-3">{label}</Base.GroupLabel>
      {options.map((option) => (
        <Base.RadioItem key={option.value} value={option.value} className={ITEM} closeOnClick>
          <span className="flex-1">{option.label}</span>
          <Base.RadioItemIndicator>
            <Check aria-hidden className="size-3.5" />
          </Base.RadioItemIndicator>
        </Base.RadioItem>
      ))}
    </Base.RadioGroup>
  )
}

export function MenuNote({ children }: { children: ReactNode }) {
  return <div className="px-2 py-1 text-dense text-ink-2">{children}</div>
}

export function MenuLine() {
  return <Base.Separator className="my-1 h-px bg-line" />
}
