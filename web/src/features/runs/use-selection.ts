import { useSearchParams } from 'react-router'

/** `item`: which item of a map or pass of a loop is open, by its number. */
export type Selection = { stepId: string; callId: string | null; item: number | null }

function readItem(search: URLSearchParams): number | null {
  const text = search.get('item') ?? ''
  return /^\d{1,6}$/.test(text) ? Number(text) : null
}

/** The step, and perhaps the call or the item, that the address names: `?step=…&call=…`, `?step=…&item=…`. */
export function useSelection(): [Selection | null, (selection: Selection | null) => void] {
  const [search, setSearch] = useSearchParams()
  const stepId = search.get('step')
  const selection = stepId === null ? null : { stepId, callId: search.get('call'), item: readItem(search) }
  const select = (next: Selection | null) =>
    setSearch(
      (old) => {
        const changed = new URLSearchParams(old)
        changed.delete('step')
        changed.delete('call')
        changed.delete('item')
        if (next) changed.set('step', next.stepId)
        if (next?.callId) changed.set('call', next.callId)
        if (next && next.item !== null) changed.set('item', String(next.item))
        return changed
      },
      { replace: true },
    )
  return [selection, select]
}
