import type { Answer, Resolve } from '@/api/generated/types.gen'

export type Draft = { answer: Answer | null; evidence: string; output: string; callId: string }
export type Mistakes = Partial<Record<'answer' | 'evidence' | 'output', string>>

export const ANSWERS = {
  happened: 'It did happen',
  did_not_happen: 'It did not happen: try again',
  fail: 'Nobody will ever know: fail the step',
} satisfies Record<Answer, string>

/** What a person has filled in as the request for it, or what is missing. */
export function readAnswer(draft: Draft): { body: Resolve } | { mistakes: Mistakes } {
  const { answer, callId } = draft
  const evidence = draft.evidence.trim()
  const mistakes: Mistakes = {}
  if (answer === null) mistakes.answer = 'Choose what became of it.'
  if (evidence === '') mistakes.evidence = 'Say how you know. It is kept with the answer.'
  const output = answer === 'happened' ? readOutput(draft.output) : { value: null }
  if (output === null) mistakes.output = 'This is not valid JSON. Put a text in quotes.'
  if (answer === null || output === null || Object.keys(mistakes).length > 0) return { mistakes }
  return { body: { answer, evidence, call_id: callId, output: output.value as never } }
}

function readOutput(text: string): { value: unknown } | null {
  if (text.trim() === '') return { value: null }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return null
  }
}
