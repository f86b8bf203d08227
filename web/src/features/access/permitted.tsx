import type { ReactNode } from 'react'
import type { Permission } from '@/api/generated/types.gen'
import { Empty } from '@/components/states'
import { useRefusal } from './may'

/** A part of a page for which a permission of the project is needed; without it, why it is not shown. */
export function Permitted({ permission, children }: { permission: Permission; children: ReactNode }) {
  const refused = useRefusal()(permission)
  return refused === null ? children : <Empty title="Not for your role">{refused}</Empty>
}
