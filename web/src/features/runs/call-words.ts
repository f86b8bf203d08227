import type { Call, Decision } from '@/api/generated/types.gen'

const OUTCOMES: Readonly<Record<string, string>> = {
  allow: 'Allowed',
  deny: 'Denied',
  require_approval: 'Held for approval',
}

/** A decision in words, with the rule that decided. No decision: the call was not judged yet. */
export function decisionWords(decision: Decision | null): string {
  if (decision === null) return 'Not decided yet'
  const outcome = OUTCOMES[decision.outcome] ?? decision.outcome
  return decision.rule === null ? `${outcome}, no rule matched` : `${outcome} by ${decision.rule}`
}

/** The tokens of a model call, when it says so. */
export function tokensOf(call: Call): { input: number; output: number } | null {
  const input = call.usage?.input_tokens
  const output = call.usage?.output_tokens
  return typeof input === 'number' && typeof output === 'number' ? { input, output } : null
}
