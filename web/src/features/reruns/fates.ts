import type { PlannedStep, StepOutline } from '@/api/generated/types.gen'

/** The names of the inputs that have another value, or that only one of both has. */
export function changedInputs(before: unknown, now: unknown): string[] {
  const old = asObject(before)
  const fresh = asObject(now)
  const names = new Set([...Object.keys(old), ...Object.keys(fresh)])
  return [...names].filter((name) => JSON.stringify(old[name]) !== JSON.stringify(fresh[name]))
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

/**
 * The plan with an input that is another: a kept step that reads what changed runs again, and so does what needs it.
 * The plan of the server knows nothing of the input, because nothing is sent before the run is started.
 */
export function withChanges(
  steps: readonly PlannedStep[],
  changed: readonly string[],
  outline: readonly Pick<StepOutline, 'id' | 'needs'>[],
): PlannedStep[] {
  if (changed.length === 0) return [...steps]
  const needs = new Map(outline.map((one) => [one.id, one.needs]))
  const again = new Set(steps.filter((step) => !step.kept).map((step) => step.key))
  const fates = new Map(steps.map((step) => [step.key, step]))
  // The order of the definition need not be that of the needs: until nothing changes any more.
  for (let grown = true; grown; ) {
    grown = false
    for (const step of steps) {
      if (again.has(step.key)) continue
      const read = step.inputs.filter((name) => changed.includes(name))
      const behind = (needs.get(step.key) ?? []).filter((need) => again.has(need))
      if (read.length === 0 && behind.length === 0) continue
      again.add(step.key)
      grown = true
      fates.set(step.key, { ...step, kept: false, kept_calls: 0, ...because(read, behind) })
    }
  }
  return steps.map((step) => fates.get(step.key) ?? step)
}

function because(
  read: readonly string[],
  behind: readonly string[],
): Pick<PlannedStep, 'why' | 'because' | 'explanation'> {
  return read.length > 0
    ? {
        why: 'input',
        because: [...read],
        explanation: `It reads an input that is another now: ${read.join(', ')}.`,
      }
    : { why: 'behind', because: [...behind], explanation: `It needs what runs again: ${behind.join(', ')}.` }
}

/** The steps that only a changed input makes run again and that made calls: these are made anew, whatever they do. */
export const calledAnew = (plan: readonly PlannedStep[], changed: readonly PlannedStep[]): PlannedStep[] => {
  const kept = new Set(plan.filter((step) => step.kept).map((step) => step.key))
  return changed.filter((step) => !step.kept && step.calls > 0 && kept.has(step.key))
}

export type Sums = { kept: number; keptMicros: number; again: number; againMicros: number; keptCalls: number }

export function sumUp(steps: readonly PlannedStep[]): Sums {
  const kept = steps.filter((step) => step.kept)
  const again = steps.filter((step) => !step.kept)
  const cost = (some: readonly PlannedStep[]) => some.reduce((sum, step) => sum + step.cost_micros, 0)
  return {
    kept: kept.length,
    keptMicros: cost(kept),
    again: again.length,
    againMicros: cost(again),
    keptCalls: again.reduce((sum, step) => sum + step.kept_calls, 0),
  }
}
