import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { afterEach, expect, test, vi } from 'vitest'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { JsonView } from './json-view'
import { ValuesRun } from './large'
import { ValueTree } from './value-tree'

const SHA = 'ab'.repeat(32)
const LARGE = { $blob: { sha256: SHA, bytes: 12_000_000, type: 'array', preview: '[{"day":"2014-01-01"' } }

afterEach(() => vi.restoreAllMocks())

test('a large value is shown by its size, its kind and its beginning', () => {
  show(<JsonView label="Output" value={LARGE} />)
  expect(screen.getByText('12.0 MB, a list')).toBeVisible()
  expect(screen.getByText('[{"day":"2014-01-01"…')).toBeVisible()
  expect(screen.queryByText(/\$blob/)).toBeNull()
  expect(screen.queryByRole('button')).toBeNull()
})

test('large parts of a value are named below it', () => {
  show(
    <ValuesRun.Provider value="run-1">
      <JsonView label="Output" value={{ report: { rows: LARGE }, note: 'wet' }} />
    </ValuesRun.Provider>,
  )
  const text = within(screen.getByRole('region', { name: 'Output' })).getByText(/"note": "wet"/)
  expect(text).toHaveTextContent('"rows": "12.0 MB, see below"')
  expect(screen.getByText('report.rows')).toBeVisible()
  expect(screen.getByRole('button', { name: 'Download report.rows' })).toBeEnabled()
})

test('the value of the run is downloaded whole', async () => {
  let asked = ''
  server.use(
    http.get(api('/runs/run-1/values/:sha256'), ({ params }) => {
      asked = String(params.sha256)
      return HttpResponse.json([1, 2])
    }),
  )
  const saved = vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(() => {})
  URL.createObjectURL = () => 'blob:here'
  show(
    <ValuesRun.Provider value="run-1">
      <ValueTree value={{ rows: LARGE }} />
    </ValuesRun.Provider>,
  )
  await userEvent.click(screen.getByRole('button', { name: 'Download the value' }))
  await vi.waitFor(() => expect(saved).toHaveBeenCalledOnce())
  expect(asked).toBe(SHA)
})
