import { expect, it } from 'vitest'
import type { Member, Role } from '@/api/generated/types.gen'
import { orderly } from '@/lib/orderly'
import { anApproval } from '@/test/factories'
import { argumentsOf, consentInWords, missingInWords, namesOfAnswerers } from './inbox'

const demanding = (approvers: string[][], quorum: number, agreed = 0, missing = approvers) =>
  anApproval({ demands: { approvers, quorum, escalate_to: [], may_edit: false }, agreed, missing })

it('says who has to agree', () => {
  expect(consentInWords(demanding([], 1))).toBeNull()
  expect(consentInWords(demanding([], 2, 1))).toBe('2 people have to agree. 1 so far.')
  expect(consentInWords(demanding([['owner', 'ben@example.org']], 1))).toBe(
    'An owner or ben@example.org has to agree.',
  )
  expect(consentInWords(demanding([['owner'], ['developer']], 1))).toBe(
    'Somebody has to agree, among them an owner and a developer. 0 so far.',
  )
})

const member = (name: string, role: Role): Member => ({
  user_id: name,
  name,
  email: `${name.toLowerCase()}@example.org`,
  role,
  joined_at: '2026-11-22T09:41:07Z',
})

it('names those whose role lets them answer', () => {
  const members = [member('Ann', 'owner'), member('Ben', 'operator'), member('Eve', 'viewer')]
  expect(namesOfAnswerers(demanding([], 1), members)).toBe('Ann or Ben')
  expect(namesOfAnswerers(demanding([['eve@example.org', 'owner']], 1), members)).toBe('Ann')
})

it('says what is still missing', () => {
  expect(missingInWords(demanding([], 3, 1))).toBe('2 more people')
  expect(missingInWords(demanding([], 2, 1))).toBe('1 more person')
  expect(missingInWords(demanding([['owner'], ['developer']], 2, 1, [['owner']]))).toBe('an owner')
})

it('writes a request so that two of them can be compared line by line', () => {
  const request = { tool: 'pay', arguments: { text: 'a\nb', list: [1, { z: null, a: 'x' }], none: {} } }
  expect(orderly(request)).toBe(
    [
      'arguments:',
      '  list:',
      '    1: 1',
      '    2:',
      '      a: "x"',
      '      z: null',
      '  none: {}',
      '  text: |',
      '    a',
      '    b',
      'tool: "pay"',
    ].join('\n'),
  )
  expect(orderly({ a: '1' })).not.toBe(orderly({ a: 1 }))
})

it('offers no edit of what is no call of a tool, or is too large to be shown', () => {
  expect(argumentsOf({ messages: [] })).toBeNull()
  expect(argumentsOf({ tool: 'pay', arguments: { $blob: { sha256: 'x' } } })).toBeNull()
  expect(argumentsOf({ tool: 'pay', arguments: { amount: 1 } })).toEqual({ amount: 1 })
})
