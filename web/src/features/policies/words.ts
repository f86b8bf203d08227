import type {
  BacktestStatus,
  Change,
  Mode,
  PolicySummary,
  RecordedDecision,
  RuleEffect,
  Severity,
  Subject,
  ViolationStatus,
} from '@/api/generated/types.gen'
import type { Face } from '@/components/glyph'

// Amber is for what waits for a person now; these tell of the past, or of what a rule would do.

export const OUTCOME_FACE = {
  allow: { label: 'Allowed', tone: 'succeeded' },
  require_approval: { label: 'Held for approval', tone: 'queued' },
  deny: { label: 'Denied', tone: 'denied' },
} satisfies Record<RuleEffect, Face>

/** What a rule does. */
export const EFFECT_WORDS = {
  allow: 'Allow',
  require_approval: 'Ask for approval',
  deny: 'Deny',
} satisfies Record<RuleEffect, string>

/** What a rule in mode monitor would have done with it. */
export const WOULD_HAVE = {
  allow: 'would have allowed this',
  require_approval: 'would have held this',
  deny: 'would have denied this',
} satisfies Record<RuleEffect, string>

export const CHANGE_FACE = {
  stays: { label: 'Unchanged', tone: 'skipped' },
  newly_denied: { label: 'Newly denied', tone: 'denied' },
  newly_held: { label: 'Newly held', tone: 'queued' },
  newly_allowed: { label: 'Newly allowed', tone: 'succeeded' },
  undecidable: { label: 'Undecidable', tone: 'cancelled' },
} satisfies Record<Change, Face>

export const VIOLATION_FACE = {
  open: { label: 'Open', tone: 'denied' },
  acknowledged: { label: 'Acknowledged', tone: 'running' },
  resolved: { label: 'Resolved', tone: 'succeeded' },
} satisfies Record<ViolationStatus, Face>

export const BACKTEST_FACE = {
  queued: { label: 'Queued', tone: 'queued' },
  running: { label: 'Running', tone: 'running' },
  done: { label: 'Done', tone: 'succeeded' },
  failed: { label: 'Failed', tone: 'failed' },
  cancelled: { label: 'Cancelled', tone: 'cancelled' },
} satisfies Record<BacktestStatus, Face>

export const MODE_WORDS = {
  enforce: 'Enforced',
  monitor: 'Monitor only',
  off: 'Off',
} satisfies Record<Mode, string>

export const SEVERITIES: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'info']
export const SUBJECTS: readonly Subject[] = ['run.create', 'step.start', 'llm.call', 'tool.call', 'output']
export const OUTCOMES: readonly RuleEffect[] = ['deny', 'require_approval', 'allow']

/** Where a policy stands: what of it is in force. */
export function standing(policy: Pick<PolicySummary, 'active_version' | 'latest_version' | 'mode'>): Face {
  if (policy.active_version === null) return { label: 'Not in force', tone: 'skipped' }
  if (policy.mode === 'off') return { label: 'Off', tone: 'skipped' }
  if (policy.mode === 'monitor') return { label: 'Monitoring', tone: 'running' }
  return { label: 'In force', tone: 'succeeded' }
}

/** The rule that decided, and the version of its policy. */
export function decidedBy(row: Pick<RecordedDecision, 'rule' | 'policy'>): string {
  if (row.rule === null) return 'Default: no rule matched'
  return row.policy ? `${row.rule} of ${row.policy.name} v${row.policy.version}` : row.rule
}
