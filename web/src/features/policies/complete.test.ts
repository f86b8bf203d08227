import { expect, test } from 'vitest'
import type { PolicyFacts } from '@/api/generated/types.gen'
import { proposalsAt } from './complete'

const FACTS: PolicyFacts = {
  subjects: ['llm.call', 'tool.call'],
  facts: [
    { name: 'on', type: 'string', about: 'what', subjects: ['tool.call'], optional: false },
    { name: 'tool.name', type: 'string', about: 'the tool', subjects: ['tool.call'], optional: false },
  ],
  history: [
    { name: 'history.saw("label")', type: 'bool', about: 'seen', subjects: ['tool.call'], optional: false },
  ],
}

/** What is offered where the text ends. */
const offered = (text: string): readonly string[] =>
  proposalsAt(text, text.length, FACTS)?.options.map((one) => one.label) ?? []

const IN_RULE = 'version: 1\nname: a\nrules:\n  - name: x\n'

test('a condition is offered facts, questions to the history and functions', () => {
  const options = offered(`${IN_RULE}    when: to`)
  expect(options).toContain('tool.name')
  expect(options).toContain('history.saw("label")')
  expect(options).toContain('has(')
  expect(offered(`${IN_RULE}    when: |\n      tool.na`)).toContain('tool.name')
})

test('the part of a name that is written is replaced', () => {
  const text = `${IN_RULE}    when: has(args.x) && tool.na`
  expect(proposalsAt(text, text.length, FACTS)?.from).toBe(text.length - 'tool.na'.length)
})

test('keys are those of the part of the policy', () => {
  expect(offered('ver')).toContain('rules: ')
  expect(offered(`${IN_RULE}    ef`)).toContain('effect: ')
  expect(offered(`${IN_RULE}    cap`)).toContain('capabilities: ')
  expect(offered(`${IN_RULE}    approval:\n      qu`)).toContain('quorum: ')
  expect(offered(`${IN_RULE}tests:\n  - name: t\n    ex`)).toContain('expect: ')
  expect(offered(`${IN_RULE}tests:\n  - `)).toContain('name: ')
  expect(offered(`${IN_RULE}tests:\n  - name: t\n    facts:\n      to`)).toContain('tool.name: ')
})

test('values are those of the key, also in flow style', () => {
  expect(offered(`${IN_RULE}    effect: d`)).toEqual(['allow', 'require_approval', 'deny'])
  expect(offered(`${IN_RULE}    capabilities: [read, `)).toContain('outward')
  expect(offered(`${IN_RULE}    on: [llm.call, `)).toEqual(['llm.call', 'tool.call'])
  expect(offered('rules:\n  - {name: x, on: [tool.call], effect: ')).toContain('deny')
  expect(offered(`${IN_RULE}tests:\n  - {name: t, facts: {`)).toContain('tool.name: ')
})

test('nothing is offered in the middle of a reason', () => {
  expect(offered(`${IN_RULE}    reason: Nobody m`)).toEqual([])
})
