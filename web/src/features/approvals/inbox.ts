import type { Approval, Member } from '@/api/generated/types.gen'

/** `mine`: those that I may answer. `open`: all that wait. `done`: those that are settled. */
export const INBOX_STATES = ['mine', 'open', 'done'] as const
export type InboxState = (typeof INBOX_STATES)[number]

export const readState = (value: string | null): InboxState =>
  INBOX_STATES.find((state) => state === value) ?? 'mine'

/** Nobody answers what they asked for themselves. */
export const isOwn = (approval: Approval, userId: string | undefined): boolean =>
  approval.requested_by !== null && approval.requested_by.id === userId

/** The questions of one state, given those that the server lists for it: whoever has waited longest comes first. */
export function arrange(
  items: readonly Approval[],
  state: InboxState,
  userId: string | undefined,
): Approval[] {
  const listed = items.filter((one) => state !== 'mine' || !isOwn(one, userId))
  if (state === 'done') return listed
  return listed.sort((a, b) => a.requested_at.localeCompare(b.requested_at))
}

/** The item before or after the one with this id; the first one when it is not in the list. */
export function neighbour(items: readonly Approval[], id: string | null, by: 1 | -1): Approval | undefined {
  const at = items.findIndex((one) => one.id === id)
  return at === -1 ? items[0] : items[at + by]
}

/** Who may answer, in words: `Ann`, `Ann or Bob`, `Ann, Bob or Eve`. */
export function namesOfAnswerers(approval: Approval, members: readonly Member[]): string {
  const names = members
    .filter((one) => one.user_id !== approval.requested_by?.id)
    .map((one) => one.name || one.email)
  return new Intl.ListFormat('en-GB', { type: 'disjunction' }).format(names)
}
