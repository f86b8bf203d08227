import { render, screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import type { RerunPlan } from '@/api/generated/types.gen'
import { Totals } from './again-view'

const totals: RerunPlan['totals'] = {
  kept_steps: 0,
  kept_cost_micros: 0,
  again_steps: 1,
  again_calls: 0,
  again_cost_micros: 0,
  kept_calls: 0,
  repeats: 0,
}

test('a plan says which labels the input of the new run carries, and nothing where it carries none', () => {
  const { rerender } = render(
    <Totals plan={{ totals, labels: ['private:customer', 'untrusted:mail'] } as RerunPlan} />,
  )
  expect(screen.getByText('private:customer, untrusted:mail')).toBeVisible()
  rerender(<Totals plan={{ totals, labels: [] as string[] } as RerunPlan} />)
  expect(screen.queryByText('The input is labelled')).toBeNull()
})
