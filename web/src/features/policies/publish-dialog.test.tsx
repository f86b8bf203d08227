import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { Backtest, BacktestStatus, PolicyDetail } from '@/api/generated/types.gen'
import { aProblem } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { PublishButton } from './publish-dialog'

const POLICY = {
  id: 'p-1',
  project: 'weather',
  name: 'no-worms',
  latest_version: 2,
  active_version: 1,
} as PolicyDetail
const aBacktest = (status: BacktestStatus): Backtest => ({
  id: 'b-1',
  project: 'weather',
  policy_id: 'p-1',
  policy_name: 'no-worms',
  status,
  cancel_requested: false,
  since: '2026-11-15T00:00:00Z',
  until: '2026-11-22T00:00:00Z',
  subjects: null,
  names: null,
  total: 9,
  judged: 4,
  counts: { stays: 4 },
  lacking: {},
  flips_listed: 0,
  error: null,
  created_by: null,
  created_at: '2026-11-22T00:00:00Z',
  started_at: null,
  finished_at: null,
  source: '',
  time_zone: 'UTC',
  days: [],
  on_record: [{ subject: 'run.create', decisions: 0 }],
  warnings: status === 'done' ? ['Nothing on record about run.create in this time.'] : [],
})

/** Opens the dialog over a backtest that became this, or could not be started; returns what is published. */
async function open(status: BacktestStatus | null): Promise<unknown[]> {
  const published: unknown[] = []
  server.use(
    http.post(api('/backtests'), () =>
      status
        ? HttpResponse.json(aBacktest('queued'), { status: 201 })
        : HttpResponse.json(aProblem(409, 'conflict', 'Too many wait.'), { status: 409 }),
    ),
    http.get(api('/backtests/b-1'), () => HttpResponse.json(aBacktest(status ?? 'queued'))),
    http.post(api('/policies/p-1/publish'), async ({ request }) => {
      published.push(await request.json())
      return HttpResponse.json(POLICY)
    }),
  )
  show(<PublishButton project="weather" policy={POLICY} version={2} />)
  await userEvent.click(screen.getByRole('button', { name: 'Publish version 2' }))
  return published
}

test('a version is published with the backtest that is done', async () => {
  const published = await open('done')
  await userEvent.click(await screen.findByRole('button', { name: 'Publish now' }))
  await expect.poll(() => published).toEqual([{ version: 2, note: null, backtest_id: 'b-1' }])
})

test('where there was nothing to judge the dialog says so before the version is published', async () => {
  await open('done')
  expect(await screen.findByRole('list', { name: 'What is not known' })).toHaveTextContent(
    'Nothing on record about run.create in this time.',
  )
})

test.each(['failed', 'cancelled', null] as const)(
  'a backtest that is %s counts as none, and the button says so',
  async (status) => {
    const published = await open(status)
    await userEvent.click(await screen.findByRole('button', { name: 'Publish without a backtest' }))
    await expect.poll(() => published).toEqual([{ version: 2, note: null, backtest_id: null }])
  },
)

test.each([
  [null, null],
  ['weather', 'weather'],
])('a policy of %s is looked at where it holds', async (of, looked) => {
  const started: unknown[] = []
  server.use(
    http.post(api('/backtests'), async ({ request }) => {
      started.push(await request.json())
      return HttpResponse.json({ ...aBacktest('done'), project: of }, { status: 201 })
    }),
    http.get(api('/backtests/b-1'), () => HttpResponse.json({ ...aBacktest('done'), project: of })),
  )
  show(<PublishButton project="weather" policy={{ ...POLICY, project: of }} version={2} />)
  await userEvent.click(screen.getByRole('button', { name: 'Publish version 2' }))
  await screen.findByRole('button', { name: 'Publish now' })
  expect(started).toEqual([expect.objectContaining({ policy_id: 'p-1', version: 2, project: looked })])
  expect(screen.queryAllByText(/in all projects/)).toHaveLength(of === null ? 1 : 0)
})
