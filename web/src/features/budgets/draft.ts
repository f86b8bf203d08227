import type { Budget, BudgetTerms, BudgetThreshold, NewBudgetBody } from '@/api/generated/types.gen'
import { readBudget } from '@/features/runs/budget'
import type { Kind } from './words'

/** What stands in the form, as it was typed. */
export type Draft = {
  name: string
  /** Of the installation, which holds for every project; else of the project. */
  installation: boolean
  scope: Budget['scope']
  target: string
  period: Budget['period']
  timeZone: string
  limits: Record<Kind, string>
  thresholds: { percent: string; action: BudgetThreshold['action'] }[]
  admission: '' | 'ask' | 'refuse'
  admissionBy: 'median' | 'p95'
}

export const EMPTY: Draft = {
  name: '',
  installation: false,
  scope: 'project',
  target: '',
  period: 'month',
  timeZone: '',
  limits: { money: '', tokens: '', calls: '', runs: '' },
  thresholds: [
    { percent: '80', action: 'notify' },
    { percent: '100', action: 'pause' },
  ],
  admission: '',
  admissionBy: 'p95',
}

const MICROS = 1_000_000

/** Micros as somebody would type them: `12.50`, `0.0004`. */
export function typedMoney(micros: number): string {
  const whole = Math.floor(micros / MICROS)
  const part = String(micros % MICROS)
    .padStart(6, '0')
    .replace(/0{1,4}$/, '')
  return `${whole}.${part}`
}

const typed = (count: number | null) => (count === null ? '' : String(count))

export const draftOf = (budget: Budget): Draft => ({
  name: budget.name,
  installation: budget.project === null,
  scope: budget.scope,
  target: budget.target?.id ?? '',
  period: budget.period,
  timeZone: budget.time_zone,
  limits: {
    money: budget.limits.money_micros === null ? '' : typedMoney(budget.limits.money_micros),
    tokens: typed(budget.limits.tokens),
    calls: typed(budget.limits.calls),
    runs: typed(budget.limits.runs),
  },
  thresholds: budget.thresholds.map(({ percent, action }) => ({ percent: String(percent), action })),
  admission: budget.admission ?? '',
  admissionBy: budget.admission_by,
})

export type Read = { terms: BudgetTerms; errors: ReadonlyMap<string, string> }

const WHOLE = /^\d{1,15}$/

/** The terms that were typed, and what is wrong with them, by field. */
export function readTerms(draft: Draft): Read {
  const errors = new Map<string, string>()
  const count = (kind: 'tokens' | 'calls' | 'runs'): number | null => {
    const text = draft.limits[kind].replace(/[\s,_]/g, '')
    if (text === '') return null
    if (!WHOLE.test(text)) errors.set(kind, 'This must be a whole number.')
    return Number(text)
  }
  const money = draft.limits.money.trim() === '0' ? { micros: 0 } : readBudget(draft.limits.money)
  if ('error' in money && money.error) errors.set('money', money.error)
  if (draft.name.trim() === '') errors.set('name', 'A budget needs a name.')
  const limits = { limit_tokens: count('tokens'), limit_calls: count('calls'), limit_runs: count('runs') }
  const none = money.micros === null && Object.values(limits).every((one) => one === null)
  if (none && !errors.has('money')) errors.set('money', 'Set at least one limit.')
  for (const [place, { percent }] of draft.thresholds.entries()) {
    const whole = Number(percent)
    if (!WHOLE.test(percent) || whole < 1 || whole > 1000)
      errors.set(`threshold.${place}`, 'A percentage must be between 1 and 1000.')
  }
  const terms: BudgetTerms = {
    name: draft.name.trim(),
    limit_micros: money.micros,
    ...limits,
    thresholds: draft.thresholds.map(({ percent, action }) => ({ percent: Number(percent), action })),
    admission: draft.admission === '' ? null : draft.admission,
    admission_by: draft.admissionBy,
  }
  return { terms, errors }
}

/** What defines a budget of this project, or of the installation. */
export const newBudget = (draft: Draft, terms: BudgetTerms, project: string): NewBudgetBody => ({
  ...terms,
  project: draft.installation ? null : project,
  scope: draft.scope,
  target: draft.target === '' ? null : draft.target,
  period: draft.period,
  time_zone: draft.timeZone.trim() === '' ? null : draft.timeZone.trim(),
})
