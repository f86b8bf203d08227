import type { EffectClass } from '@/api/generated/types.gen'

/** What may be done when the outcome of a call was lost. */
export const EFFECT_WORDS = {
  pure: {
    label: 'Reads only',
    meaning: 'It changes nothing, so a call whose answer was lost is simply made again.',
  },
  idempotent: {
    label: 'Safe to repeat',
    meaning:
      'Its target knows our key: a call whose answer was lost is made again under the same key and takes effect once.',
  },
  txn: {
    label: 'Written with the result',
    meaning: 'What it changes is stored here together with its result: both or neither.',
  },
  unsafe: {
    label: 'Never repeated by itself',
    meaning:
      'A call whose answer was lost may have happened. The step stops and a person says whether it did.',
  },
} satisfies Record<EffectClass, { label: string; meaning: string }>
