import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { ViolationDetail } from '@/api/generated/types.gen'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { ViolationsView } from './violations-view'

const REFUSED: ViolationDetail = {
  id: 'v-1',
  at: '2026-11-22T09:41:07Z',
  run_id: 'run-1',
  step_id: null,
  step_key: null,
  decision_id: 'd-1',
  policy: null,
  rule: null,
  severity: 'medium',
  monitored: false,
  subject: 'run.create',
  name: 'weather-report',
  reason: null,
  status: 'open',
  changed_by: null,
  changed_at: null,
  overdue_at: null,
  notes: [],
}

test('a violation leads to its decision, which is there also where the run was refused', async () => {
  server.use(
    http.get(api('/violations'), () => HttpResponse.json({ items: [REFUSED], next_cursor: null })),
    http.get(api('/violations/v-1'), () => HttpResponse.json(REFUSED)),
  )
  show(<ViolationsView project="weather" />)
  const article = await screen.findByRole('article', { name: 'Violation' })
  expect(article).toHaveTextContent('No rule allows this, and the project denies by default.')
  const [link] = within(article).getAllByRole('link')
  expect(link).toHaveAttribute('href', '/p/weather/decisions/d-1')
})

test('a violation that stays open for too long is marked as overdue, and one that somebody looks after is not', async () => {
  const late = { ...REFUSED, overdue_at: '2026-11-22T10:41:07Z' }
  const seen = { ...late, id: 'v-2', status: 'acknowledged' } satisfies ViolationDetail
  const asked: string[] = []
  server.use(
    http.get(api('/violations'), ({ request }) => {
      asked.push(new URL(request.url).searchParams.get('overdue') ?? 'any')
      return HttpResponse.json({ items: [late, seen], next_cursor: null })
    }),
    http.get(api('/violations/v-1'), () => HttpResponse.json(late)),
  )
  show(<ViolationsView project="weather" />)
  expect(await screen.findByRole('article', { name: 'Violation' })).toHaveTextContent('overdue since')
  const [first, second] = within(screen.getByRole('list', { name: 'Violations' })).getAllByRole('listitem')
  expect(first).toHaveTextContent('overdue')
  expect(second).not.toHaveTextContent('overdue')
  await userEvent.click(screen.getByRole('button', { name: 'Overdue' }))
  await waitFor(() => expect(asked).toEqual(['any', 'true']))
})
