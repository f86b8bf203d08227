import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { DecisionDetail as Decision, DecisionToday, PolicyDetail } from '@/api/generated/types.gen'
import { readDraft } from '@/lib/kept-draft'
import { aProblem } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { DecisionDetail } from './decision-detail'
import { draftKey } from './policy-editor'

const AT = '2026-11-22T09:41:07Z'
const DECISION: Decision = {
  id: 'd-1',
  at: AT,
  run_id: 'run-1',
  run_exists: true,
  step_id: 'step-1',
  step_key: 'write',
  call_id: 'call-1',
  subject: 'tool.call',
  name: 'files.write',
  outcome: 'deny',
  policy: { id: 'p-1', name: 'no-worms', version: 1 },
  rule: 'programs',
  rules_version: 1,
  severity: 'high',
  reason: 'Programs are not kept here.',
  monitored: [],
  facts: { 'tool.name': 'files.write' },
  facts_digest: null,
  request_hash: 'r'.repeat(64),
  duration_us: 12,
  case: {},
  case_source: '  - name: a worm\n    on: tool.call\n',
}
const TODAY: DecisionToday = {
  outcome: 'deny',
  same: true,
  lacking: [],
  policy: { id: 'p-1', name: 'no-worms', version: 1 },
  rule: 'programs',
  reason: null,
}
const POLICY = {
  id: 'p-1',
  name: 'no-worms',
  latest: { version: 1, source: 'name: no-worms\n' },
} as PolicyDetail

const refused = () =>
  HttpResponse.json(aProblem(404, 'not-found', 'There is no such policy here.'), { status: 404 })

/** Shows the decision on a page of the run; `failures`: how often reading the policy, and today's verdict, fails. */
function open(failures: { policy?: number; today?: number } = {}, given: Partial<Decision> = {}) {
  const left = { policy: 0, today: 0, ...failures }
  server.use(
    http.get(api('/decisions/d-1'), () => HttpResponse.json({ ...DECISION, ...given })),
    http.get(api('/decisions/d-1/today'), () => (left.today-- > 0 ? refused() : HttpResponse.json(TODAY))),
    http.get(api('/policies/p-1'), () => (left.policy-- > 0 ? refused() : HttpResponse.json(POLICY))),
  )
  show(<DecisionDetail id="d-1" scope={{ project: 'weather', run: 'run-1' }} onClose={() => {}} />)
}

test('a decision becomes a test of the policy that made it', async () => {
  open()
  const button = await screen.findByRole('button', { name: 'Make a test of no-worms' })
  await expect.poll(() => button).toBeEnabled()
  await userEvent.click(button)
  expect(readDraft(draftKey('p-1'))?.text).toContain('a worm')
})

test('a policy that cannot be read is told, and read again when somebody asks', async () => {
  open({ policy: 1 })
  const part = await screen.findByRole('region', { name: 'As a test' })
  expect(await within(part).findByRole('alert')).toHaveTextContent('There is no such policy here.')
  expect(within(part).queryByRole('button', { name: /Make a test/ })).toBeNull()
  await userEvent.click(within(part).getByRole('button', { name: 'Try again' }))
  const button = await within(part).findByRole('button', { name: 'Make a test of no-worms' })
  await expect.poll(() => button).toBeEnabled()
})

test('a decision leads to its run', async () => {
  open()
  expect(await screen.findByRole('link', { name: /, step write$/ })).toBeVisible()
})

test('the decision that refused a run leads to none', async () => {
  open({}, { run_exists: false, subject: 'run.create', step_id: null, step_key: null })
  expect(await screen.findByText('The run was refused before it began, so there is none.')).toBeVisible()
  expect(screen.queryByRole('link', { name: /run-1/ })).toBeNull()
})

test('what cannot be said of today is told, and asked again', async () => {
  open({ today: 1 })
  await userEvent.click(await screen.findByRole('button', { name: 'Ask again' }))
  expect(await screen.findByText('the same, by programs')).toBeVisible()
})
