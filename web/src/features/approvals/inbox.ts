import type { Approval, Member } from '@/api/generated/types.gen'

/** `mine`: those that I may answer. `open`: all that wait. `done`: those that are settled. */
export const INBOX_STATES = ['mine', 'open', 'done'] as const
export type InboxState = (typeof INBOX_STATES)[number]

export const readState = (value: string | null): InboxState =>
  INBOX_STATES.find((state) => state === value) ?? 'mine'

/** Nobody answers what they asked for themselves. */
export const isOwn = (approval: Approval, userId: string | undefined): boolean =>
  approval.requested_by !== null && approval.requested_by.id === userId

/** Whether a person has agreed to what is asked about now; others have to as well. */
export const hasAgreed = (approval: Approval, userId: string | undefined): boolean =>
  approval.votes.some((vote) => vote.by.id === userId && vote.current && vote.vote === 'approve')

/** Whether a question waits for this person. */
export const isFor = (approval: Approval, userId: string | undefined): boolean =>
  approval.may_answer && !isOwn(approval, userId) && !hasAgreed(approval, userId)

/** The questions of one state, given those that the server lists for it: whoever has waited longest comes first. */
export function arrange(
  items: readonly Approval[],
  state: InboxState,
  userId: string | undefined,
): Approval[] {
  const listed = items.filter((one) => state !== 'mine' || isFor(one, userId))
  if (state === 'done') return listed
  return listed.sort((a, b) => a.requested_at.localeCompare(b.requested_at))
}

/** The item before or after the one with this id; the first one when it is not in the list. */
export function neighbour(items: readonly Approval[], id: string | null, by: 1 | -1): Approval | undefined {
  const at = items.findIndex((one) => one.id === id)
  return at === -1 ? items[0] : items[at + by]
}

const OR = new Intl.ListFormat('en-GB', { type: 'disjunction' })
const AND = new Intl.ListFormat('en-GB', { type: 'conjunction' })

/** Whether this person has let somebody else answer in their place. */
export const gaveAway = (approval: Approval, userId: string | undefined): boolean =>
  approval.reassigned.some((one) => one.by.id === userId)

/** Whether the role of a member lets them answer at all: of the five only that of a viewer does not. */
export const answers = ({ role }: Pick<Member, 'role'>): boolean => role !== 'viewer'

/** Who may answer, in words: `Ann`, `Ann or Bob`, `Ann, Bob or Eve`. */
export function namesOfAnswerers(approval: Approval, members: readonly Member[]): string {
  const { approvers, escalate_to } = approval.demands
  const given = approval.reassigned.map((one) => one.to)
  const named = [...approvers.flat(), ...given, ...(approval.escalated_at ? escalate_to : [])]
  const names = members
    .filter((one) => one.user_id !== approval.requested_by?.id && !gaveAway(approval, one.user_id))
    .filter(answers)
    .filter((one) => approvers.length === 0 || named.includes(one.role) || named.includes(one.email))
    .map((one) => one.name || one.email)
  return OR.format(names)
}

/** A role or an address, as people say it: `an owner`, `a developer`. */
const nameOf = (who: string): string => {
  if (who.includes('@')) return who
  return `${/^[aeio]/.test(who) ? 'an' : 'a'} ${who}`
}

/** Who has to agree: `An owner has to agree`, `2 people have to agree, among them an owner`. */
export function agreementInWords(approvers: readonly (readonly string[])[], quorum: number): string {
  const groups = approvers.map((group) => OR.format(group.map(nameOf)))
  const [only] = groups
  if (groups.length === 1 && quorum === 1 && only) {
    return `${only[0]?.toUpperCase()}${only.slice(1)} has to agree`
  }
  const people = quorum === 1 ? 'Somebody has to agree' : `${quorum} people have to agree`
  return groups.length === 0 ? people : `${people}, among them ${AND.format(groups)}`
}

/** Who may answer besides, once the time has come: `an owner or ben@example.com`. */
export const anyOf = (people: readonly string[]): string => OR.format(people.map(nameOf))

/** Who has to agree, in words; null where one person is enough, whoever it is. */
export function consentInWords({ demands, agreed }: Approval): string | null {
  const { approvers, quorum } = demands
  if (approvers.length === 0 && quorum === 1) return null
  const words = agreementInWords(approvers, quorum)
  return approvers.length === 1 && quorum === 1 ? `${words}.` : `${words}. ${agreed} so far.`
}

/** What is still missing, in words: `1 more person`, `an owner`; empty where nothing is. */
export function missingInWords({ demands, agreed, missing }: Approval): string {
  const more = Math.max(0, demands.quorum - agreed)
  const groups = missing.map((group) => OR.format(group.map(nameOf)))
  if (groups.length > 0) return AND.format(groups)
  return more === 0 ? '' : more === 1 ? '1 more person' : `${more} more people`
}

/** The arguments of a call of a tool; null for anything else, or where they are too large to be shown. */
export function argumentsOf(request: unknown): { [name: string]: unknown } | null {
  if (typeof request !== 'object' || request === null || !('tool' in request) || !('arguments' in request))
    return null
  const found = request.arguments
  return typeof found === 'object' && found !== null && !('$blob' in found)
    ? (found as { [name: string]: unknown })
    : null
}

/** What a question is about, in one word. */
export const SUBJECT_WORDS = {
  run: 'before it begins',
  output: 'its output',
  step: 'a step',
  call: 'a call',
} satisfies Record<Approval['subject_kind'], string>

/** What is asked about now: the request as it was proposed, or as an approver wants it. */
export const askedRequest = (approval: Approval): unknown =>
  approval.edited_by === null ? approval.proposed_request : approval.edited_request
