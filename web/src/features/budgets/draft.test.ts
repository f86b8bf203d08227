import { expect, test } from 'vitest'
import { EMPTY, newBudget, readTerms, typedMoney } from './draft'

const draft = { ...EMPTY, name: ' Bills ', limits: { ...EMPTY.limits, money: '12.50', tokens: '1,000' } }

test('what was typed becomes the terms', () => {
  const { terms, errors } = readTerms(draft)
  expect(errors.size).toBe(0)
  expect(terms).toMatchObject({
    name: 'Bills',
    limit_micros: 12_500_000,
    limit_tokens: 1000,
    limit_calls: null,
  })
  expect(terms.thresholds).toEqual([
    { percent: 80, action: 'notify' },
    { percent: 100, action: 'pause' },
  ])
})

test('a limit of nothing is a limit', () => {
  expect(readTerms({ ...draft, limits: { ...EMPTY.limits, money: '0' } }).terms.limit_micros).toBe(0)
})

test('every mistake is told where it is', () => {
  const limits = { ...EMPTY.limits, money: 'much', calls: '1.5' }
  const { errors } = readTerms({ ...draft, name: '', limits, thresholds: [{ percent: '0', action: 'deny' }] })
  expect([...errors.keys()].sort()).toEqual(['calls', 'money', 'name', 'threshold.0'])
  expect(readTerms({ ...draft, limits: EMPTY.limits }).errors.get('money')).toBe('Set at least one limit.')
})

test('an empty zone is that of the project, an empty target means each', () => {
  const body = newBudget({ ...draft, scope: 'workflow' }, readTerms(draft).terms, 'weather')
  expect(body).toMatchObject({ project: 'weather', scope: 'workflow', target: null, time_zone: null })
})

test('a budget of the installation may be for each person or for one', () => {
  const wide = { ...draft, installation: true, scope: 'user' as const }
  const { terms } = readTerms(draft)
  expect(newBudget(wide, terms, 'weather')).toMatchObject({ project: null, scope: 'user', target: null })
  expect(newBudget({ ...wide, target: 'u-1' }, terms, 'weather').target).toBe('u-1')
})

test('micros are shown as somebody would type them', () => {
  expect([5_000_000, 400, 12_345_600].map(typedMoney)).toEqual(['5.00', '0.0004', '12.3456'])
})
