import { formatMoney } from '@/lib/format'

/** Money in micros of a US dollar. */
export function Money({ micros }: { micros: number }) {
  return <span className="tabular-nums">{formatMoney(micros)}</span>
}
