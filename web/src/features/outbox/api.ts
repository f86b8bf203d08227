import { infiniteQueryOptions, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '@/api/client'
import type {
  ListOutboxData,
  ListOutboxResponse,
  RedriveOutboxEntryData,
  RedriveOutboxEntryResponse,
} from '@/api/generated/types.gen'

const KEY = ['outbox'] as const

/** The events that used all their tries, of the whole installation, newest first. For administrators. */
export const undeliveredQuery = infiniteQueryOptions({
  queryKey: KEY,
  queryFn: ({ pageParam, signal }) =>
    request<ListOutboxData, ListOutboxResponse>('GET', '/api/v1/outbox', {
      query: { cursor: pageParam },
      signal,
    }),
  initialPageParam: null as string | null,
  getNextPageParam: (page) => page.next_cursor,
})

/** Sends an event again that was given up, with all its tries. */
export function useSendAgain() {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (id: string) =>
      request<RedriveOutboxEntryData, RedriveOutboxEntryResponse>(
        'POST',
        '/api/v1/outbox/{entry_id}/redrive',
        { path: { entry_id: id } },
      ),
    onSettled: () => queryClient.invalidateQueries({ queryKey: KEY }),
  })
}
