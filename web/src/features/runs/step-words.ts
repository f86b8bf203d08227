import type { Step, StepDetail } from '@/api/generated/types.gen'
import { formatClock, plural } from '@/lib/format'

const UNDO = ':undo'

/** The step that an undo step takes back, by its id in the definition; null: it is none. */
export const undoes = (step: Pick<Step, 'key' | 'undo_of'>): string | null =>
  step.undo_of === null ? null : step.key.replace(new RegExp(`${UNDO}$`), '')

/** Whether waiting is all that a step does. */
export const isPause = (step: Pick<Step, 'type'>): boolean => step.type === 'approval' || step.type === 'wait'

export const isContainer = (step: Pick<Step, 'type'>): boolean => step.type === 'map' || step.type === 'loop'

/** An item counts from 1 for people; a pass does so anyway. */
export const frameName = (type: string, no: number): string =>
  type === 'map' ? `Item ${(no + 1).toLocaleString('en-US')}` : `Pass ${no.toLocaleString('en-US')}`

/** The beginning of an item as it is listed; one that is too large for that only says so. */
export const itemWords = (value: string | null): string | null =>
  value?.startsWith('{"$blob"') ? 'a large value' : value

/** How far a map or loop is; null: it has not begun. */
export function frameWords({ type, frames }: Pick<Step, 'type' | 'frames'>): string | null {
  if (!frames) return null
  const failed = frames.failed > 0 ? `, ${frames.failed.toLocaleString('en-US')} failed` : ''
  if (type === 'loop') return `${plural(frames.ended, 'pass', 'passes')} done${failed}`
  const total = frames.total ?? frames.expanded
  return `${frames.ended.toLocaleString('en-US')} of ${total.toLocaleString('en-US')}${failed}`
}

/** What a step waits for that is neither a person nor a part of it; null: it does not wait so now. */
export function waitWords({ waiting_for, wake_at }: Pick<Step, 'waiting_for' | 'wake_at'>): string | null {
  if (waiting_for?.kind === 'event' && typeof waiting_for.event === 'string') {
    return `for ${waiting_for.event}`
  }
  if (waiting_for?.kind === 'budget' && typeof waiting_for.name === 'string') {
    return `for ${waiting_for.name}`
  }
  return waiting_for?.kind === 'timer' && wake_at !== null ? `until ${formatClock(wake_at)}` : null
}

/** What a step is or uses, and how far it is, in a few words. */
export function stepAbout(step: Step): string {
  const back = undoes(step)
  if (back !== null) return `takes back ${back}`
  switch (step.type) {
    case 'branch':
      return step.chosen === null ? 'branch' : `branch → ${step.chosen.join(', ') || 'none'}`
    case 'map':
    case 'loop':
      return [step.type, frameWords(step)].filter(Boolean).join(' ')
    case 'wait':
      return [step.type, waitWords(step)].filter(Boolean).join(' ')
    default:
      return [step.name === null ? step.type : `${step.type} ${step.name}`, waitWords(step)]
        .filter(Boolean)
        .join(', ')
  }
}

/** What a step needs, and how much of it. */
export function needWords({ needs, join, join_count }: Pick<Step, 'needs' | 'join' | 'join_count'>): string {
  const names = needs.join(', ')
  if (needs.length === 0) return 'Nothing'
  switch (join) {
    case 'any':
      return `Any of ${names}`
    case 'at_least':
      return `At least ${join_count ?? 1} of ${names}`
    case 'none_failed':
      return `${names}; none of them failed`
    case 'ended':
      return `${names}; ended, however`
    default:
      return names
  }
}

/** Why a step was skipped, as a sentence. */
export function skipWords({ skipped_because, needs }: Pick<StepDetail, 'skipped_because' | 'needs'>): string {
  switch (skipped_because) {
    case 'condition':
      return 'Its condition did not hold.'
    case 'branch':
      return 'A branch before it chose other steps.'
    case 'no-error':
      return 'It handles the failure of a step that did not fail.'
    case 'upstream':
      return `What it needs did not succeed: ${needs.join(', ')}.`
    default:
      return 'It could not start any more.'
  }
}
