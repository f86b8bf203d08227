import { expect, test } from 'vitest'
import type { KeyScope } from '@/api/generated/types.gen'
import { givable, grouped, tryOut } from './words'

const SCOPES: readonly KeyScope[] = [
  { scope: 'run:read', description: 'See runs', roles: ['owner', 'viewer'] },
  { scope: 'budget:manage', description: 'Change budgets', roles: ['owner'] },
  { scope: 'run:create', description: 'Start runs', roles: ['owner'] },
]

test('scopes stand together by what they are about', () => {
  expect(grouped(SCOPES).map(([about, scopes]) => [about, scopes.map((one) => one.scope)])).toEqual([
    ['run', ['run:read', 'run:create']],
    ['budget', ['budget:manage']],
  ])
})

test('nobody is offered what none of their roles has', () => {
  expect(givable(SCOPES, ['viewer']).map((one) => one.scope)).toEqual(['run:read'])
  expect(givable(SCOPES, ['viewer', 'owner'])).toHaveLength(3)
  expect(givable(SCOPES, [])).toEqual([])
})

test('a key is tried out with a command that asks who it acts for', () => {
  expect(tryOut('spk_x', 'https://ops.example.com')).toBe(
    'curl -H "Authorization: Bearer spk_x" https://ops.example.com/api/v1/me',
  )
})
