import { expect, test } from 'vitest'
import { type Draft, readAnswer } from './answer'

const draft = (given: Partial<Draft> = {}): Draft => ({
  answer: 'happened',
  evidence: 'The bank shows it.',
  output: '',
  callId: 'call-1',
  ...given,
})

test('an answer needs a choice and evidence', () => {
  expect(readAnswer(draft({ answer: null, evidence: '  ' }))).toEqual({
    mistakes: { answer: expect.any(String), evidence: expect.any(String) },
  })
})

test('what happened may have an output, which is JSON', () => {
  expect(readAnswer(draft({ output: '{"id": 7}' }))).toMatchObject({ body: { output: { id: 7 } } })
  expect(readAnswer(draft())).toMatchObject({ body: { output: null, call_id: 'call-1' } })
  expect(readAnswer(draft({ output: 'seven' }))).toMatchObject({ mistakes: { output: expect.any(String) } })
})

test('what did not happen has none, whatever was typed before', () => {
  const found = readAnswer(draft({ answer: 'did_not_happen', output: 'seven' }))
  expect(found).toEqual({
    body: {
      answer: 'did_not_happen',
      evidence: 'The bank shows it.',
      call_id: 'call-1',
      output: null,
    },
  })
})
