import { fireEvent, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { useLocation } from 'react-router'
import { expect, test } from 'vitest'
import type { RecordedDecision } from '@/api/generated/types.gen'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { BETWEEN, instantOf, isFiltered, localText, readFilters, timeOf } from './decision-filters'
import type { DecisionScope } from './decisions-api'
import { DecisionsView } from './decisions-view'

const RUN = '0190c6a2-0000-7000-8000-00000000abcd'
const POLICY = '0190c6a2-0000-7000-8000-00000000beef'
const DENIED: RecordedDecision = {
  id: 'd-2',
  at: '2026-11-22T09:41:07Z',
  run_id: RUN,
  step_id: 'step-1',
  step_key: 'write',
  call_id: 'call-1',
  subject: 'tool.call',
  name: 'files.write',
  outcome: 'deny',
  policy: { id: POLICY, name: 'no-worms', version: 1 },
  rule: 'programs',
  severity: 'high',
  reason: 'Programs are not kept here.',
  monitored: [],
  duration_us: 12,
}
const BY_DEFAULT: RecordedDecision = {
  ...DENIED,
  id: 'd-1',
  subject: 'run.create',
  name: 'notes',
  step_id: null,
  step_key: null,
  outcome: 'allow',
  policy: null,
  rule: null,
}
const OF_PROJECT: DecisionScope = { project: 'weather' }

function Here() {
  return <output aria-label="Address">{useLocation().search}</output>
}

/** Shows the decisions at an address, with `d-1` on the second page; returns what is asked of the server. */
function open(address = '/', scope = OF_PROJECT, opens: 'page' | 'beside' = 'page') {
  const asked: URLSearchParams[] = []
  server.use(
    http.get(api('/decisions'), ({ request }) => {
      const query = new URL(request.url).searchParams
      asked.push(query)
      if (query.get('name') === 'nothing') return HttpResponse.json({ items: [], next_cursor: null })
      const second = query.get('cursor') === 'more'
      return HttpResponse.json({
        items: [second ? BY_DEFAULT : DENIED],
        next_cursor: second ? null : 'more',
      })
    }),
    http.get(api('/policies'), () =>
      HttpResponse.json({ items: [{ id: POLICY, name: 'no-worms' }], next_cursor: null }),
    ),
    http.get(api('/decisions/d-2'), () => HttpResponse.json({ ...DENIED, facts: {}, case_source: '' })),
  )
  show(
    <>
      <DecisionsView scope={scope} opens={opens} nothing="Nothing has been judged." />
      <Here />
    </>,
    address,
  )
  return asked
}

const table = () => screen.findByRole('table', { name: 'Decisions' })
const asking = (asked: readonly URLSearchParams[]) => Object.fromEntries(asked.at(-1) ?? [])

test('a row leads to the page of its decision, and the next page holds what no rule decided', async () => {
  open()
  const link = within(await table()).getByRole('link', { name: 'Denied, files.write' })
  expect(link).toHaveAttribute('href', '/p/weather/decisions/d-2')
  await userEvent.click(screen.getByRole('button', { name: 'Load more' }))
  const last = await screen.findByRole('row', { name: /Allowed, notes.*Default: no rule matched/ })
  expect(last).toHaveTextContent('0000abcd')
  expect(screen.getAllByRole('row').indexOf(last)).toBe(2)
})

test('beside the list a row opens with its filters kept, and without its run where the list is about one', async () => {
  open('/?name=files.write', { project: 'weather', run: RUN }, 'beside')
  const link = within(await table()).getByRole('link', { name: 'Denied, files.write' })
  expect(link).toHaveAttribute('href', '/?name=files.write&decision=d-2')
  expect(screen.queryByRole('columnheader', { name: 'Run' })).toBeNull()
  expect(screen.queryByRole('searchbox', { name: 'Run id' })).toBeNull()
})

test('filters in the address are asked of the server', async () => {
  const asked = open(
    `/?outcome=deny&outcome=require_approval&monitored=true&subject=tool.call&name=files.write&rule=programs&policy=${POLICY}&run=${RUN}&since=2026-11-22T00:00:00Z&until=2026-11-23T00:00:00Z`,
  )
  await table()
  expect(asked[0]?.getAll('outcome')).toEqual(['deny', 'require_approval'])
  expect(asking(asked)).toMatchObject({
    project: 'weather',
    monitored: 'true',
    subject: 'tool.call',
    name: 'files.write',
    rule: 'programs',
    policy: POLICY,
    run: RUN,
    since: '2026-11-22T00:00:00.000Z',
    until: '2026-11-23T00:00:00.000Z',
  })
  expect(screen.getByRole('button', { name: 'Denied' })).toHaveAttribute('aria-pressed', 'true')
  expect(screen.getByRole('button', { name: 'Allowed' })).toHaveAttribute('aria-pressed', 'false')
  expect(await screen.findByRole('option', { name: 'no-worms' })).toHaveProperty('selected', true)
})

test('what is chosen comes into the address, and goes out of it at once', async () => {
  const asked = open()
  await table()
  await userEvent.click(screen.getByRole('button', { name: 'Denied' }))
  await userEvent.click(screen.getByRole('button', { name: 'Held for approval' }))
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Subject' }), 'tool.call')
  await screen.findByRole('option', { name: 'no-worms' })
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Policy' }), 'no-worms')
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Time' }), 'Last day')
  const address = screen.getByLabelText('Address')
  expect(address).toHaveTextContent(
    `?outcome=deny&outcome=require_approval&subject=tool.call&policy=${POLICY}&span=day`,
  )
  await expect.poll(() => asking(asked).since).toMatch(/:00.000Z$/)
  await userEvent.click(screen.getByRole('button', { name: 'Denied' }))
  expect(address).toHaveTextContent(/^\?subject=tool.call&policy=[^&]*&span=day&outcome=require_approval$/)
  await userEvent.click(screen.getByRole('button', { name: 'Clear filters' }))
  expect(address).toBeEmptyDOMElement()
  await table()
  expect(screen.queryByRole('button', { name: 'Clear filters' })).toBeNull()
})

test('a name is asked for once it is written, and where nothing fits the filters are cleared', async () => {
  const asked = open()
  await table()
  const field = screen.getByRole('searchbox', { name: 'Tool or model' })
  await userEvent.type(field, ' nothing')
  expect(asked.filter((one) => one.has('name'))).toEqual([])
  await userEvent.keyboard('{Enter}')
  expect(await screen.findByText('No decision fits these filters.')).toBeVisible()
  expect(asked.filter((one) => one.has('name')).map((one) => one.get('name'))).toEqual(['nothing'])
  await userEvent.click(screen.getAllByRole('button', { name: 'Clear filters' })[1] as HTMLElement)
  await table()
  expect(field).toHaveValue('')
  await userEvent.type(field, 'files.write')
  await userEvent.tab()
  expect(screen.getByLabelText('Address')).toHaveTextContent('?name=files.write')
  await userEvent.clear(field)
  expect(screen.getByLabelText('Address')).toBeEmptyDOMElement()
})

test('the server is not asked for a run whose id is none', async () => {
  const asked = open('/?run=abcd')
  expect(await screen.findByText(/“abcd” is not the id of a run/)).toBeVisible()
  expect(screen.getByRole('searchbox', { name: 'Run id' })).toBeInvalid()
  expect(asked).toEqual([])
})

test('two moments limit the list, in the time zone of the viewer', async () => {
  const asked = open()
  await table()
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Time' }), 'Between …')
  fireEvent.change(screen.getByLabelText('From'), { target: { value: '2026-11-22T09:41' } })
  const since = new Date('2026-11-22T09:41').toISOString()
  await expect.poll(() => asking(asked).since).toBe(since)
  fireEvent.change(screen.getByLabelText('Until'), { target: { value: '2026-11-23T09:41' } })
  const until = new Date('2026-11-23T09:41').toISOString()
  await expect.poll(() => asking(asked).until).toBe(until)
  expect(asking(asked).since).toBe(since)
  // Another year is being written.
  fireEvent.change(screen.getByLabelText('Until'), { target: { value: '0020-11-23T09:41' } })
  expect(screen.getByLabelText('Until')).toHaveValue('0020-11-23T09:41')
  expect(screen.getByLabelText('Address')).toHaveTextContent(encodeURIComponent(until))
  await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Time' }), 'All time')
  expect(screen.getByLabelText('Address')).toBeEmptyDOMElement()
})

test('what an address cannot mean is left out', () => {
  const search = new URLSearchParams('outcome=maybe&subject=tea&policy=mine&since=soon&until=0020-01-01')
  expect(readFilters(search, '')).toEqual({
    outcome: [],
    subject: null,
    name: '',
    rule: '',
    monitored: false,
    policy: '',
    run: '',
    since: '',
    until: '',
  })
  const span = new URLSearchParams('span=day&since=2026-11-22T09:41:00Z&until=2026-11-23T09:41:00Z')
  expect([timeOf(span), timeOf(search)]).toEqual(['day', BETWEEN])
  expect(readFilters(span, 'then')).toMatchObject({ since: 'then', until: '' })
})

test('a list is not filtered by what it is about', () => {
  const search = new URLSearchParams('policy=mine')
  expect(isFiltered(search, { project: 'weather' })).toBe(true)
  expect(isFiltered(search, { project: 'weather', policy: POLICY })).toBe(false)
})

test('a moment comes back from its field as it was', () => {
  expect(localText(instantOf('2026-11-22T09:41'))).toBe('2026-11-22T09:41')
  expect([localText(''), instantOf('2026-11'), instantOf('9999-01-01T00:00Z')]).toEqual([
    '',
    '2026-11-01T00:00:00.000Z',
    '',
  ])
})
