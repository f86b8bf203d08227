import { expect, test } from 'vitest'
import { consentOf } from './consent'

test('a rule that asks for nothing special takes one person', () => {
  expect(consentOf({ effect: 'require_approval', approval: null })).toBe('Somebody has to agree.')
  expect(consentOf({ effect: 'deny', approval: null })).toBeNull()
})

test('what a rule demands is said in words', () => {
  const approval = {
    approvers: ['owner', 'ada@example.com'],
    quorum: 2,
    expires: '1d',
    escalate_after: '4h',
    escalate_to: ['developer'],
    may_edit: true,
  }
  expect(consentOf({ effect: 'require_approval', approval })).toBe(
    '2 people have to agree, among them an owner or ada@example.com. The question expires after 1 day. ' +
      'After 4 hours a developer may answer too. Approvers may change the arguments.',
  )
})
