import { useSearchParams } from 'react-router'

/** What is chosen on a page stands in its address: reads it, and puts or (by an empty value) takes away parts of it. */
export function useAddress(): [URLSearchParams, (changes: Readonly<Record<string, string>>) => void] {
  const [search, setSearch] = useSearchParams()
  const put = (changes: Readonly<Record<string, string>>) =>
    setSearch(
      (past) => {
        for (const [key, value] of Object.entries(changes)) {
          if (value === '') past.delete(key)
          else past.set(key, value)
        }
        return past
      },
      { replace: true },
    )
  return [search, put]
}
