import { describe, expect, test } from 'vitest'
import { nameProblem, valueProblem } from './rules'

describe('what a secret may be', () => {
  test.each(['stripe-key', 'db_password', 'a'])('%s is a name', (name) => {
    expect(nameProblem(name)).toBeNull()
  })
  test.each(['', 'Stripe', '1st', 'a b', '../etc', 'x'.repeat(64)])('%s is no name', (name) => {
    expect(nameProblem(name)).not.toBeNull()
  })
  test('a short value is refused, and not quoted', () => {
    expect(valueProblem('seven--')).not.toContain('seven')
    expect(valueProblem('eight---')).toBeNull()
  })
})
