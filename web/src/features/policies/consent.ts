import type { RuleOutline } from '@/api/generated/types.gen'
import { agreementInWords, anyOf } from '@/features/approvals/inbox'
import { plural } from '@/lib/format'

/** What stands under `approval` in a rule; the text of the policy was checked when it was saved. */
type Asked = {
  approvers?: string[] | null
  quorum?: number
  expires?: string | null
  escalate_after?: string | null
  escalate_to?: string[] | null
  may_edit?: boolean
}

/** What the consent that a rule asks for takes, in words; null: it asks for none. */
export function consentOf({ effect, approval }: Pick<RuleOutline, 'effect' | 'approval'>): string | null {
  if (effect !== 'require_approval') return null
  const { approvers, quorum = 1, expires, escalate_after, escalate_to, may_edit }: Asked = approval ?? {}
  const sentences = [agreementInWords(approvers ? [approvers] : [], quorum)]
  if (expires) sentences.push(`The question expires after ${spelled(expires)}`)
  if (escalate_after && escalate_to)
    sentences.push(`After ${spelled(escalate_after)} ${anyOf(escalate_to)} may answer too`)
  if (may_edit) sentences.push('Approvers may change the arguments')
  return `${sentences.join('. ')}.`
}

const UNITS: Record<string, string> = { ms: 'millisecond', s: 'second', m: 'minute', h: 'hour', d: 'day' }

/** A duration as it stands in a policy: `4h` is `4 hours`. */
function spelled(duration: string): string {
  const [, count, unit = ''] = /^(\d+)([a-z]+)$/.exec(duration) ?? []
  const word = UNITS[unit]
  return word ? plural(Number(count), word) : duration
}
