import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Approval } from '@/api/generated/types.gen'
import { closeSession, openSession } from '@/api/session'
import { listenToHotkeys } from '@/lib/hotkeys'
import { anApproval, aProblem, someTokens } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { InboxView } from './inbox-view'

const ME = someTokens().user.id
const theirs = (given: Partial<Approval>) =>
  anApproval({ requested_by: { id: 'user-2', name: 'Bob' }, ...given })

const FIRST = theirs({ id: 'a1', title: 'Publish 2013?', requested_at: '2026-11-22T09:00:00Z' })
const SECOND = theirs({ id: 'a2', title: 'Publish 2015?', requested_at: '2026-11-22T10:00:00Z' })
const OWN = anApproval({ id: 'a3', title: 'Publish my own?', requested_by: { id: ME, name: 'Ada' } })

/** The server's approvals: answering one moves it from open to done. Returns what was posted. */
function serve(approvals: Approval[]): { posted: Array<{ url: string; body: unknown }> } {
  const posted: Array<{ url: string; body: unknown }> = []
  const state = new Map(approvals.map((one) => [one.id, one]))
  const answer =
    (status: Approval['status']) =>
    async ({ request, params }: { request: Request; params: Record<string, unknown> }) => {
      posted.push({ url: new URL(request.url).pathname, body: await request.json() })
      const answered = {
        ...anApproval(),
        ...state.get(String(params.id)),
        status,
        decided_by: { id: ME, name: 'Ada' },
      }
      state.set(answered.id, answered)
      return HttpResponse.json(answered)
    }
  server.use(
    http.get(api('/approvals'), ({ request }) => {
      const open = new URL(request.url).searchParams.get('state') === 'open'
      const items = [...state.values()].filter((one) => (one.status === 'pending') === open).reverse()
      return HttpResponse.json({ items, next_cursor: null })
    }),
    http.get(api('/approvals/:id'), ({ params }) => HttpResponse.json(state.get(String(params.id)))),
    http.get(api('/projects/weather/members'), () =>
      HttpResponse.json({
        items: [
          {
            user_id: ME,
            name: 'Ada',
            email: 'ada@example.org',
            role: 'owner',
            joined_at: FIRST.requested_at,
          },
          {
            user_id: 'user-2',
            name: 'Bob',
            email: 'bob@example.org',
            role: 'member',
            joined_at: FIRST.requested_at,
          },
        ],
        next_cursor: null,
      }),
    ),
    http.post(api('/approvals/:id/approve'), answer('approved')),
    http.post(api('/approvals/:id/reject'), answer('rejected')),
  )
  return { posted }
}

let stopKeys = () => {}
beforeEach(() => {
  openSession(someTokens())
  stopKeys = listenToHotkeys(document)
})
afterEach(() => {
  stopKeys()
  closeSession()
})

const list = () => screen.getByRole('list', { name: 'Approvals' })

describe('the inbox', () => {
  it('lists what I may answer, the longest waiting first, and opens the first', async () => {
    serve([SECOND, OWN, FIRST])
    show(<InboxView project="weather" />)
    expect(await screen.findByRole('article', { name: 'Publish 2013?' })).toBeInTheDocument()
    const items = within(list()).getAllByRole('link')
    expect(items.map((item) => item.textContent)).toEqual([
      expect.stringContaining('Publish 2013?'),
      expect.stringContaining('Publish 2015?'),
    ])
  })

  it('approves with a comment, and keeps showing what was approved', async () => {
    const { posted } = serve([FIRST, SECOND])
    show(<InboxView project="weather" />)
    await userEvent.type(await screen.findByRole('textbox', { name: 'Comment' }), 'Looks right')
    await userEvent.click(screen.getByRole('button', { name: 'Approve' }))
    expect(await screen.findByText('by Ada')).toBeInTheDocument()
    expect(screen.getByRole('article', { name: 'Publish 2013?' })).toBeInTheDocument()
    expect(posted).toEqual([{ url: '/api/v1/approvals/a1/approve', body: { comment: 'Looks right' } }])
    await waitFor(() => expect(within(list()).getAllByRole('link')).toHaveLength(1))
  })

  it('rejects only with a reason', async () => {
    const { posted } = serve([FIRST])
    show(<InboxView project="weather" />)
    await userEvent.click(await screen.findByRole('button', { name: 'Reject' }))
    const dialog = await screen.findByRole('dialog', { name: 'Reject' })
    await userEvent.click(within(dialog).getByRole('button', { name: 'Reject request' }))
    expect(posted).toEqual([])
    await userEvent.type(within(dialog).getByRole('textbox', { name: /Reason/ }), 'Wrong year')
    await userEvent.click(within(dialog).getByRole('button', { name: 'Reject request' }))
    await waitFor(() =>
      expect(posted).toEqual([{ url: '/api/v1/approvals/a1/reject', body: { reason: 'Wrong year' } }]),
    )
  })

  it('walks with J and K, and approves with A and Enter, never with A alone', async () => {
    const { posted } = serve([FIRST, SECOND])
    show(<InboxView project="weather" />)
    await screen.findByRole('article', { name: 'Publish 2013?' })
    await userEvent.keyboard('j')
    await screen.findByRole('article', { name: 'Publish 2015?' })
    await userEvent.keyboard('a')
    expect(screen.getByRole('button', { name: 'Approve' })).toHaveFocus()
    expect(posted).toEqual([])
    await userEvent.keyboard('{Enter}')
    await waitFor(() => expect(posted.map((one) => one.url)).toEqual(['/api/v1/approvals/a2/approve']))
  })

  it('leaves letters to the field that they are typed into', async () => {
    serve([FIRST, SECOND])
    show(<InboxView project="weather" />)
    const comment = await screen.findByRole('textbox', { name: 'Comment' })
    await userEvent.type(comment, 'jar')
    expect(comment).toHaveValue('jar')
    expect(screen.getByRole('article', { name: 'Publish 2013?' })).toBeInTheDocument()
  })

  it('says who may answer what I asked for myself', async () => {
    serve([OWN])
    show(<InboxView project="weather" />, '/?state=open')
    expect(await screen.findByText(/somebody else has to answer. Bob may/)).toBeInTheDocument()
    expect(screen.queryByRole('button', { name: 'Approve' })).not.toBeInTheDocument()
  })

  it('says what the server said when somebody else was faster', async () => {
    serve([FIRST])
    server.use(
      http.post(api('/approvals/:id/approve'), () =>
        HttpResponse.json(aProblem(409, 'approval-closed', 'It is rejected already.'), { status: 409 }),
      ),
    )
    show(<InboxView project="weather" />)
    await userEvent.click(await screen.findByRole('button', { name: 'Approve' }))
    expect(await screen.findByRole('alert')).toHaveTextContent('It is rejected already.')
  })

  it('says that nothing is waiting', async () => {
    serve([OWN])
    show(<InboxView project="weather" />)
    expect(await screen.findByRole('heading', { name: 'Nothing is waiting for you.' })).toBeInTheDocument()
  })
})
