import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { expect, test, vi } from 'vitest'
import type { Frame } from '@/api/generated/types.gen'
import { aStep } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { FramesPart } from './frames-part'

const counts = { total: 10_000, concurrency: 50, stop_on_error: false, expanded: 10_000 }
const map = aStep({
  id: 'map-1',
  key: 'each',
  type: 'map',
  status: 'waiting',
  frames: { ...counts, started: 90, ended: 40, failed: 2 },
})

const aFrame = (no: number, given: Partial<Frame> = {}): Frame => ({
  no,
  status: 'succeeded',
  value: `"value ${no}"`,
  error: null,
  finished_at: null,
  ...given,
})

/** Answers with the items asked for, and says what was asked. */
function serve(failed: readonly number[] = []) {
  const asked: string[] = []
  server.use(
    http.get(api('/runs/run-1/steps/map-1/frames'), ({ request }) => {
      const query = new URL(request.url).searchParams
      asked.push(query.toString())
      const from = Number(query.get('after') ?? -1) + 1
      const items =
        query.get('status') === 'failed'
          ? failed.map((no) =>
              aFrame(no, { status: 'failed', error: { code: 'broken', message: `${no} is broken` } }),
            )
          : Array.from({ length: 100 }, (_, place) => aFrame(from + place))
      return HttpResponse.json({ items, next_cursor: null })
    }),
  )
  return asked
}

test('ten thousand items are a few rows and one question', async () => {
  const asked = serve()
  show(<FramesPart runId="run-1" step={map} onOpen={() => {}} />)
  expect(await screen.findByText('"value 3"')).toBeVisible()
  expect(asked).toEqual(['limit=100'])
  const rows = within(screen.getByRole('list', { name: 'Items' })).getAllByRole('listitem')
  expect(rows.length).toBeLessThan(40)
  expect(rows[0]).toHaveAttribute('aria-setsize', '10000')
})

test('how many stand how is told, and what stands so can be listed and opened', async () => {
  serve([4, 77])
  const onOpen = vi.fn()
  show(<FramesPart runId="run-1" step={map} onOpen={onOpen} />)
  const names = within(screen.getByRole('group', { name: 'Which items' })).getAllByRole('button')
  expect(names.map((one) => one.textContent)).toEqual([
    'All10,000',
    'Failed2',
    'Running50',
    'Not started9,910',
    'Succeeded38',
  ])
  await userEvent.click(screen.getByRole('button', { name: /Failed/ }))
  await userEvent.click(await screen.findByText('77 is broken'))
  expect(onOpen).toHaveBeenCalledWith(77)
})
