import { screen } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { Backtest, Flip } from '@/api/generated/types.gen'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { BacktestResult } from './backtest-result'

const FLIP = {
  id: 'f-1',
  project: 'lab',
  decision_id: 'd-1',
  run_id: 'r-1',
  at: '2026-11-20T00:00:00Z',
  subject: 'tool.call',
  name: 'mail.send',
  change: 'newly_denied',
  was: 'allow',
  old_rule: null,
  new_policy: 'no-worms',
  new_rule: 'none',
  reason: null,
  cost_micros: 0,
} satisfies Flip
const BACKTEST = {
  id: 'b-1',
  project: null,
  policy_name: 'no-worms',
  status: 'done',
  since: '2026-11-15T00:00:00Z',
  until: '2026-11-22T00:00:00Z',
  subjects: null,
  total: 3,
  judged: 3,
  counts: { newly_denied: 3 },
  lacking: {},
  flips_listed: 3,
  error: null,
  days: [],
  warnings: [],
} as unknown as Backtest

test('a flip of a backtest over all projects names its project and leads to its decision there', async () => {
  server.use(
    http.get(api('/backtests/b-1/flips'), () => HttpResponse.json({ items: [FLIP], next_cursor: null })),
  )
  show(<BacktestResult project="weather" backtest={BACKTEST} />)
  const link = await screen.findByRole('link', { name: /mail\.send/ })
  expect(link.getAttribute('href')).toContain('/lab/')
  expect(screen.getByRole('columnheader', { name: 'Project' })).toBeVisible()
  expect(screen.getByText(/Only those in projects that you belong to/)).toBeVisible()
})
