import { screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import { anApproval, aProblem } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { ApprovalBar } from './approval-bar'

const SOMEBODY = 'user-2'
const button = (name: string) => screen.getByRole('button', { name })

test('nothing is asked, nothing is shown', () => {
  show(<ApprovalBar approvals={[]} userId={SOMEBODY} />)
  expect(screen.queryByRole('region', { name: 'Needs approval' })).toBeNull()
})

test('approving sends the answer', async () => {
  const answered: unknown[] = []
  server.use(
    http.post(api('/approvals/:id/approve'), async ({ params, request }) => {
      answered.push([params.id, await request.json()])
      return HttpResponse.json(anApproval({ status: 'approved' }))
    }),
  )
  show(<ApprovalBar approvals={[anApproval()]} userId={SOMEBODY} />)
  expect(screen.getByText('Publish the report?')).toBeVisible()
  await userEvent.click(button('Approve'))
  await waitFor(() => expect(answered).toEqual([['approval-1', { comment: null, request_hash: 'hash-1' }]]))
})

test('rejecting needs a reason', async () => {
  const reasons: unknown[] = []
  server.use(
    http.post(api('/approvals/:id/reject'), async ({ request }) => {
      reasons.push(await request.json())
      return HttpResponse.json(anApproval({ status: 'rejected' }))
    }),
  )
  show(<ApprovalBar approvals={[anApproval()]} userId={SOMEBODY} />)
  await userEvent.click(button('Reject'))
  await userEvent.click(button('Reject request'))
  expect(screen.getByLabelText(/Reason/)).toBeInvalid()
  expect(reasons).toEqual([])
  await userEvent.type(screen.getByLabelText(/Reason/), 'The figures are old')
  await userEvent.click(button('Reject request'))
  await waitFor(() => expect(reasons).toEqual([{ reason: 'The figures are old' }]))
})

test('who asked is told that somebody else has to answer', () => {
  show(<ApprovalBar approvals={[anApproval()]} userId="user-1" />)
  expect(screen.getByText(/somebody else has to answer/)).toBeVisible()
  expect(screen.queryByRole('button', { name: 'Approve' })).toBeNull()
})

test('an answer that comes too late says so', async () => {
  const late = aProblem(409, 'approval-closed', 'It is approved already.')
  server.use(http.post(api('/approvals/:id/approve'), () => HttpResponse.json(late, { status: 409 })))
  show(<ApprovalBar approvals={[anApproval()]} userId={SOMEBODY} />)
  await userEvent.click(button('Approve'))
  expect(await screen.findByText('It is approved already.')).toBeVisible()
})

test('what a budget asks about leads to the budget', () => {
  const budgets = [
    {
      budget_id: 'budget-1',
      name: 'Daily',
      about: 'runs' as const,
      reason: 'as the server says it',
      resets_at: null,
      limit_runs: 10,
      used_runs: 8,
      percent: 80,
    },
    {
      budget_id: 'budget-2',
      name: 'Money',
      about: 'forecast' as const,
      reason: 'as the server says it',
      resets_at: null,
      room_micros: -5,
      expected_micros: 50_000,
      median_micros: 30_000,
      p95_micros: 50_000,
      runs: 12,
    },
  ]
  const about = { subject_kind: 'run' as const, step_id: null, step_key: null, rule: 'budget', budgets }
  show(<ApprovalBar approvals={[anApproval(about)]} userId={SOMEBODY} />)
  expect(screen.getByText(/Asked by a budget/)).toBeVisible()
  const asking = screen.getByRole('list', { name: 'Budgets that ask' })
  expect(asking).toHaveTextContent('Daily: 8 of 10 runs are used; beyond 80 % it asks.')
  expect(asking).toHaveTextContent('Money: $0 left. Such a run costs $0.03 in the median, $0.05 at the 95th')
  expect(screen.getByRole('link', { name: 'Daily' })).toHaveAttribute('href', '/p/weather/budgets/budget-1')
})

test('several questions come one at a time', () => {
  show(
    <ApprovalBar
      approvals={[anApproval(), anApproval({ id: 'b', title: 'Delete it?' })]}
      userId={SOMEBODY}
    />,
  )
  expect(screen.getByText(/and 1 more/)).toBeVisible()
  expect(screen.queryByText('Delete it?')).toBeNull()
})
