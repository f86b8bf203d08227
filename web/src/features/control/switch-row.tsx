import { type ReactNode, useState } from 'react'
import type { Halt } from '@/api/generated/types.gen'
import { ActRow } from '@/components/page'
import { Button } from '@/components/ui/button'
import { useRefusal } from '@/features/access/may'
import { HaltDialog } from './halt-dialog'
import type { Switch } from './halt-words'

type SwitchRowProps = {
  order: Switch
  title: string
  /** The halt that is in force already, if there is one. */
  inForce: Halt | undefined
  /** Why this person may not use it; null: they may. */
  forbidden?: string | null
  action: string
  children: ReactNode
}

/** One switch: what it holds, and the button that asks before it does. */
export function SwitchRow({ order, title, inForce, forbidden = null, action, children }: SwitchRowProps) {
  const [open, setOpen] = useState(false)
  const refused = useRefusal()('halt:order')
  const why = order.target.scope === 'installation' ? forbidden : (refused ?? forbidden)
  const act = inForce ? (
    <span className="pt-1 font-medium">In force</span>
  ) : why ? (
    <span className="max-w-72 pt-1 text-ink-3">{why}</span>
  ) : (
    <Button variant={order.kind === 'stop' ? 'danger' : 'secondary'} onClick={() => setOpen(true)}>
      {action}
    </Button>
  )
  return (
    <>
      <ActRow title={title} act={act}>
        {children}
      </ActRow>
      <HaltDialog order={order} open={open} onOpenChange={setOpen} />
    </>
  )
}
