import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test } from 'vitest'
import type { AuditLineDetail, SecurityEvent } from '@/api/generated/types.gen'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { AuditView } from './audit-view'
import { ChainState } from './chain-state'
import { SecurityView } from './security-view'
import { objectWords, whoDid } from './words'

const LINE: AuditLineDetail = {
  number: 7,
  at: '2026-11-22T09:41:07Z',
  project: 'weather',
  actor: 'user:018f',
  who: { id: '018f', name: 'Ada' },
  via: 'session:1',
  address: '192.0.2.7',
  request_id: 'request-1',
  action: 'project.limits',
  object: 'project:0190c6a2-0000-7000-8000-000000000001',
  detail: {},
  before: { max_running_runs: 1 },
  after: { max_running_runs: 3 },
  content_hash: 'c'.repeat(64),
  seal: { number: 2, at: '2026-11-22T09:41:08Z', root: 'r'.repeat(64) },
}
const PROJECT = { project: 'weather', everywhere: false }

function serve(asked: URL[] = [], lines: AuditLineDetail[] = [LINE]) {
  server.use(
    http.get(api('/audit/actions'), () =>
      HttpResponse.json({
        items: [
          { action: 'project.limits', meaning: 'A limit was changed.' },
          { action: 'run.create', meaning: 'A run was accepted.' },
        ],
        next_cursor: null,
      }),
    ),
    http.get(api('/audit/lines/7'), () => HttpResponse.json(LINE)),
    http.get(api('/audit'), ({ request }) => {
      asked.push(new URL(request.url))
      return HttpResponse.json({ items: lines, next_cursor: null })
    }),
  )
}

test('a line opens with what was before and after, and the seal that covers it', async () => {
  serve()
  show(<AuditView scope={PROJECT} />)
  await userEvent.click(await screen.findByRole('link', { name: 'Line 7: project.limits by Ada' }))
  const detail = await screen.findByRole('complementary', { name: 'Line 7' })
  expect(await within(detail).findByText('A limit was changed.')).toBeVisible()
  expect(within(detail).getByRole('region', { name: 'What was changed' })).toHaveTextContent(
    /"max_running_runs": 1.*"max_running_runs": 3/,
  )
  expect(within(detail).getByText('192.0.2.7')).toBeVisible()
})

test('filters are asked of the server, and cleared at once', async () => {
  const asked: URL[] = []
  serve(asked, [])
  show(<AuditView scope={PROJECT} />)
  await userEvent.selectOptions(await screen.findByRole('combobox', { name: 'Time' }), 'Last day')
  await userEvent.type(screen.getByRole('searchbox', { name: 'Object' }), 'run')
  expect(await screen.findByText('No such lines')).toBeVisible()
  const last = asked.at(-1)?.searchParams
  expect([last?.get('object'), last?.get('project')]).toEqual(['run', 'weather'])
  expect(last?.get('since')).toMatch(/^\d{4}-.*:00.000Z$/)
  await userEvent.click(screen.getAllByRole('button', { name: 'Clear filters' })[0] as HTMLElement)
  expect(await screen.findByText('No lines')).toBeVisible()
})

test('the chain says how far it goes, and that only a check can tell whether it is whole', async () => {
  server.use(
    http.get(api('/audit/chain'), () =>
      HttpResponse.json({
        state: 'sealed',
        seals: 2,
        lines: 1234,
        last: LINE.seal,
        waiting: 0,
        waiting_since: null,
      }),
    ),
  )
  show(<ChainState scope={PROJECT} />)
  expect(await screen.findByText(/seal 2 over 1,234 lines/)).toBeVisible()
  expect(screen.getByText('sparkops audit verify')).toBeVisible()
})

test('security events say what happened, to whom, and from where', async () => {
  const event: SecurityEvent = {
    number: 1,
    at: '2026-11-22T09:41:07Z',
    kind: 'permission.denied',
    severity: 'warning',
    who: null,
    email: 'eve@example.com',
    project: null,
    address: '192.0.2.9',
    request_id: null,
    detail: { times: 5, key: null },
  }
  server.use(
    http.get(api('/audit/security-events'), () => HttpResponse.json({ items: [event], next_cursor: null })),
  )
  show(<SecurityView scope={PROJECT} />)
  const row = await screen.findByRole('row', { name: /permission.denied/ })
  expect(row).toHaveTextContent(/Warning.*eve@example.com.*192.0.2.9.*times: 5/)
})

test('words for what has no name', () => {
  expect(whoDid({ who: null, actor: 'system' })).toBe('The platform')
  expect(whoDid({ who: null, actor: 'system:root' })).toBe('root, on the server')
  expect(objectWords('policy:0190c6a2-0000-7000-8000-000000000001')).toBe('policy 00000001')
  expect(objectWords('secret:mailer')).toBe('secret mailer')
  expect(objectWords('installation')).toBe('installation')
})
