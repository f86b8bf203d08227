import { useSearchParams } from 'react-router'

export type Selection = { stepId: string; callId: string | null }

/** The step, and perhaps the call, that the address names: `?step=…&call=…`. */
export function useSelection(): [Selection | null, (selection: Selection | null) => void] {
  const [search, setSearch] = useSearchParams()
  const stepId = search.get('step')
  const selection = stepId === null ? null : { stepId, callId: search.get('call') }
  const select = (next: Selection | null) =>
    setSearch(
      (old) => {
        const changed = new URLSearchParams(old)
        changed.delete('step')
        changed.delete('call')
        if (next) changed.set('step', next.stepId)
        if (next?.callId) changed.set('call', next.callId)
        return changed
      },
      { replace: true },
    )
  return [selection, select]
}
