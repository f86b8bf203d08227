import { expect, test } from 'vitest'
import { aCall } from '@/test/factories'
import { threadsOf } from './conversation'

const ask = { role: 'user', text: 'Which month?' }
const use = {
  role: 'assistant',
  text: '',
  tool_calls: [{ id: 't1', tool: 'sql.query', arguments: { sql: 'x' }, raw: null }],
}
const result = { role: 'tool', id: 't1', tool: 'sql.query', output: [1], is_error: false }
const llm = (seq: number, messages: unknown[], response: unknown) =>
  aCall({
    id: `c${seq}`,
    kind: 'llm',
    seq,
    request: { model: 'scripted', system: 'Be brief.', messages, tools: [{ name: 'sql.query' }] },
    response,
  })

test('each turn shows only what was new to the model', () => {
  const calls = [
    llm(3, [ask, use, result], { text: 'March.', tool_calls: [] }),
    aCall({ kind: 'tool', seq: 2 }),
    llm(1, [ask], { text: '', tool_calls: use.tool_calls }),
  ]
  const [thread, ...others] = threadsOf(calls)
  expect(others).toEqual([])
  expect(thread).toMatchObject({ model: 'scripted', system: 'Be brief.', offered: ['sql.query'] })
  expect(thread?.turns.map((turn) => turn.heard.map((said) => said.role))).toEqual([['user'], ['tool']])
  expect(thread?.turns.map((turn) => turn.answer)).toEqual([
    { role: 'assistant', text: '', tools: [{ id: 't1', tool: 'sql.query', input: { sql: 'x' } }] },
    { role: 'assistant', text: 'March.', tools: [] },
  ])
})

test('a call that failed and is made again repeats nothing', () => {
  const [thread] = threadsOf([llm(1, [ask], null), llm(2, [ask], { text: 'March.' })])
  expect(thread?.turns.map((turn) => [turn.heard.length, turn.answer !== null])).toEqual([
    [1, false],
    [0, true],
  ])
})

test('every step has a conversation of its own', () => {
  const other = { ...llm(1, [ask], null), step_id: 'step-2', step_key: 'check' }
  expect(threadsOf([llm(1, [ask], null), other]).map((thread) => thread.stepKey)).toEqual([
    'monthly',
    'check',
  ])
})
