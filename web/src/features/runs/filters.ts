import type { RunStatus } from '@/api/generated/types.gen'
import { RUN_FACE } from '@/components/faces'
import type { RunFilters } from './api'

const isStatus = (text: string): text is RunStatus => text in RUN_FACE

/** The filters in the address; a status that does not exist is left out. */
export function readFilters(search: URLSearchParams): RunFilters {
  return {
    status: search.getAll('status').filter(isStatus),
    workflow: search.get('workflow') ?? '',
    q: search.get('q') ?? '',
  }
}

/** The address for these filters; what is empty is not mentioned. */
export function writeFilters({ status, workflow, q }: RunFilters): URLSearchParams {
  const search = new URLSearchParams(status.map((one) => ['status', one]))
  if (workflow !== '') search.set('workflow', workflow)
  if (q !== '') search.set('q', q)
  return search
}

export const isFiltered = ({ status, workflow, q }: RunFilters): boolean =>
  status.length > 0 || workflow !== '' || q !== ''

/** The filters in words, each with the filters that remain without it. */
export function filterWords(filters: RunFilters): ReadonlyArray<{ words: string; without: RunFilters }> {
  const { status, workflow, q } = filters
  return [
    ...status.map((one) => ({
      words: `status ${RUN_FACE[one].label}`,
      without: { ...filters, status: status.filter((other) => other !== one) },
    })),
    ...(workflow === '' ? [] : [{ words: `workflow ${workflow}`, without: { ...filters, workflow: '' } }]),
    ...(q === '' ? [] : [{ words: `text “${q}”`, without: { ...filters, q: '' } }]),
  ]
}
