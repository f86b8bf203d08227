import type {
  Budget,
  BudgetLimits,
  BudgetNotice,
  BudgetThreshold,
  BudgetWindow,
} from '@/api/generated/types.gen'
import { formatCount, formatMoney, plural } from '@/lib/format'

/** Whom a budget may be for, as a choice. */
export const SCOPES = {
  installation: 'The installation',
  project: 'The project',
  workflow: 'Workflows',
  agent: 'Agents',
  api_key: 'API keys',
  user: 'People',
  run: 'Runs',
} satisfies Record<Budget['scope'], string>

/** For everybody of a scope, each by themselves. */
export const EACH = {
  installation: 'The installation',
  project: 'The project',
  workflow: 'Each workflow',
  agent: 'Each agent',
  api_key: 'Each API key',
  user: 'Each person',
  run: 'Each run',
} satisfies Record<Budget['scope'], string>

export const PERIODS = {
  run: 'Per run',
  hour: 'Per hour',
  day: 'Per day',
  week: 'Per week',
  month: 'Per month',
  total: 'In total',
} satisfies Record<Budget['period'], string>

export const ACTIONS = {
  notify: 'Notify',
  require_approval: 'Ask a person',
  pause: 'Wait',
  deny: 'Deny',
} satisfies Record<BudgetThreshold['action'], string>

/** What a notice tells: what is done at a threshold, or that the spending leads beyond the limit. */
export const NOTICES = { ...ACTIONS, forecast: 'Expected' } satisfies Record<BudgetNotice['action'], string>

export type Kind = 'money' | 'tokens' | 'calls' | 'runs'
export const KINDS: readonly Kind[] = ['money', 'tokens', 'calls', 'runs']

/** Whom a budget is for. */
export function whom({ scope, target, project }: Pick<Budget, 'scope' | 'target' | 'project'>): string {
  if (target !== null) return target.name
  return project === null && scope === 'project' ? 'Each project' : EACH[scope]
}

/** An amount of something that is counted. */
export function amount(kind: Kind, count: number): string {
  if (kind === 'money') return formatMoney(count)
  if (kind === 'tokens') return `${formatCount(count)} tokens`
  return plural(count, kind === 'calls' ? 'call' : 'run')
}

export const limitOf = (kind: Kind, limits: BudgetLimits): number | null =>
  kind === 'money' ? limits.money_micros : limits[kind]

/** What a budget allows: `$5.00 and 100 calls`. */
export function allows(limits: BudgetLimits): string {
  const parts = KINDS.flatMap((kind) => {
    const limit = limitOf(kind, limits)
    return limit === null ? [] : [amount(kind, limit)]
  })
  return parts.join(' and ')
}

/** How full one limit of a window is. `held`: what calls under way may still take. */
export type Fill = { kind: Kind; limit: number; used: number; held: number }

function usedOf(kind: Kind, window: BudgetWindow): { used: number; held: number } {
  switch (kind) {
    case 'money':
      return { used: window.spent_micros, held: window.held_micros }
    case 'tokens':
      return { used: window.spent_tokens, held: window.held_tokens }
    case 'calls':
      return { used: window.calls, held: 0 }
    case 'runs':
      return { used: window.runs, held: 0 }
  }
}

/** The limits of a window, each with what is used of it. */
export const fills = (window: BudgetWindow): Fill[] =>
  KINDS.flatMap((kind) => {
    const limit = limitOf(kind, window.limits)
    return limit === null ? [] : [{ kind, limit, ...usedOf(kind, window) }]
  })

/** Used and held as a part of the limit; of a limit of nothing everything is too much. */
export const share = ({ limit, used, held }: Fill): number =>
  limit === 0 ? (used + held > 0 ? Number.POSITIVE_INFINITY : 1) : (used + held) / limit

/** The limit that is the fullest; null: nothing is limited. */
export const fullest = (window: BudgetWindow): Fill | null =>
  fills(window).reduce<Fill | null>(
    (most, one) => (most === null || share(one) > share(most) ? one : most),
    null,
  )

/** `80 %`, and `over` where that says no more. */
export const percent = (part: number): string =>
  Number.isFinite(part) ? `${Math.floor(part * 100)} %` : 'over'

/** What happens at the thresholds: `80 % notify, 100 % deny`. */
export function steps(thresholds: readonly BudgetThreshold[]): string {
  const stated = [...thresholds].sort((one, other) => one.percent - other.percent)
  const atLimit = stated.some((one) => one.percent >= 100 && one.action !== 'notify')
  const all = atLimit ? stated : [...stated, { percent: 100, action: 'deny' as const }]
  return all.map((one) => `${one.percent} % ${ACTIONS[one.action].toLowerCase()}`).join(', ')
}
