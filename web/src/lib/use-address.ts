import { useSearchParams } from 'react-router'

export type AddressChanges = Readonly<Record<string, string | readonly string[]>>

/**
 * What is chosen on a page stands in its address: reads it, and puts or (by an empty value) takes away parts of it.
 * A list of values is put once for each.
 */
export function useAddress(): [URLSearchParams, (changes: AddressChanges) => void] {
  const [search, setSearch] = useSearchParams()
  const put = (changes: AddressChanges) =>
    setSearch(
      (past) => {
        for (const [key, value] of Object.entries(changes)) {
          past.delete(key)
          for (const one of typeof value === 'string' ? [value] : value) {
            if (one !== '') past.append(key, one)
          }
        }
        return past
      },
      { replace: true },
    )
  return [search, put]
}
