import { screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Approval, Message } from '@/api/generated/types.gen'
import { closeSession, openSession } from '@/api/session'
import { listenToHotkeys } from '@/lib/hotkeys'
import { anApproval, aPreview, aProblem, someTokens } from '@/test/factories'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { InboxView } from './inbox-view'

const ME = someTokens().user.id
const theirs = (given: Partial<Approval>) =>
  anApproval({ requested_by: { id: 'user-2', name: 'Bob' }, ...given })

const FIRST = theirs({ id: 'a1', title: 'Publish 2013?', requested_at: '2026-11-22T09:00:00Z' })
const SECOND = theirs({ id: 'a2', title: 'Publish 2015?', requested_at: '2026-11-22T10:00:00Z' })
const PAYMENT = theirs({
  id: 'a4',
  title: 'Pay?',
  subject_kind: 'call',
  name: 'pay',
  proposed_request: { tool: 'pay', arguments: { amount: 100, to: 'Ann' } },
  demands: { approvers: [], quorum: 1, escalate_to: [], may_edit: true },
})
const PAYMENT_BEFORE = {
  id: 'a0',
  run_id: 'run-0',
  title: 'Pay?',
  edited: false,
  status: 'consumed',
  decided_by: { id: 'user-3', name: 'Cyd' },
  decided_at: PAYMENT.requested_at,
  comment: null,
} as const
const OWN = anApproval({ id: 'a3', title: 'Publish my own?', requested_by: { id: ME, name: 'Ada' } })

/** The server's approvals: answering one moves it from open to done. Returns what was posted. */
function serve(approvals: Approval[]): { posted: Array<{ url: string; body: unknown }> } {
  const posted: Array<{ url: string; body: unknown }> = []
  const messages: Message[] = []
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
    http.get(api('/approvals/:id/preview'), () => HttpResponse.json(aPreview())),
    http.get(api('/approvals/:id/messages'), () => HttpResponse.json({ items: messages })),
    http.post(api('/approvals/:id/messages'), async ({ request }) => {
      const { text } = (await request.json()) as { text: string }
      const said = { id: 'm1', by: { id: ME, name: 'Ada' }, text, at: FIRST.requested_at }
      messages.push(said)
      return HttpResponse.json(said, { status: 201 })
    }),
    http.get(api('/runs/:id/steps'), () => HttpResponse.json({ items: [], next_cursor: null })),
    http.post(api('/approvals/:id/edit'), answer('approved')),
    http.post(api('/approvals/:id/approve'), answer('approved')),
    http.post(api('/approvals/:id/reject'), answer('rejected')),
    http.post(api('/approvals/:id/reassign'), answer('pending')),
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

  it('marks a question that people were reminded of, in the list and where it is shown', async () => {
    serve([{ ...FIRST, reminder: true, reminded_at: '2026-11-22T15:00:00Z' }, SECOND])
    show(<InboxView project="weather" />)
    expect(await screen.findByRole('article', { name: 'Publish 2013?' })).toHaveTextContent('reminded')
    const [first, second] = within(list()).getAllByRole('link')
    expect(first).toHaveTextContent('reminded, half the time is up')
    expect(second).not.toHaveTextContent('reminded')
  })

  it('approves with a comment, and keeps showing what was approved', async () => {
    const { posted } = serve([FIRST, SECOND])
    show(<InboxView project="weather" />)
    await userEvent.type(await screen.findByRole('textbox', { name: 'Comment' }), 'Looks right')
    await userEvent.click(screen.getByRole('button', { name: 'Approve' }))
    expect(await screen.findByText('by Ada')).toBeInTheDocument()
    expect(screen.getByRole('article', { name: 'Publish 2013?' })).toBeInTheDocument()
    expect(posted).toEqual([
      { url: '/api/v1/approvals/a1/approve', body: { comment: 'Looks right', request_hash: 'hash-1' } },
    ])
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

  it('copies the link that leads to the question from a mail or a chat', async () => {
    serve([FIRST])
    const user = userEvent.setup()
    show(<InboxView project="weather" />)
    await user.click(await screen.findByRole('button', { name: 'Copy link' }))
    expect(await screen.findByRole('button', { name: 'Copied' })).toBeInTheDocument()
    expect(await navigator.clipboard.readText()).toBe(`${window.location.origin}/a/approval-1?s=mark`)
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

  it('changes the arguments with E, shows what that changes, and sends them with what was shown', async () => {
    const { posted } = serve([PAYMENT])
    show(<InboxView project="weather" />)
    await screen.findByRole('article', { name: 'Pay?' })
    await userEvent.keyboard('e')
    const dialog = await screen.findByRole('dialog', { name: 'Edit and approve' })
    const amount = await within(dialog).findByRole('textbox', { name: /amount/ })
    expect(within(dialog).getByRole('button', { name: 'Approve with changes' })).toBeDisabled()
    await userEvent.clear(amount)
    await userEvent.type(amount, '50')
    expect(within(dialog).getByRole('region', { name: 'What you change' })).toHaveTextContent(
      'Added: amount: 50',
    )
    await userEvent.click(within(dialog).getByRole('button', { name: 'Approve with changes' }))
    await waitFor(() =>
      expect(posted).toEqual([
        {
          url: '/api/v1/approvals/a4/edit',
          body: { arguments: { amount: 50, to: 'Ann' }, comment: null, request_hash: 'hash-1' },
        },
      ]),
    )
  })

  it('asks back with R, and rejects with X', async () => {
    serve([FIRST])
    show(<InboxView project="weather" />)
    await screen.findByRole('article', { name: 'Publish 2013?' })
    await userEvent.keyboard('r')
    const box = screen.getByRole('textbox', { name: 'Message' })
    expect(box).toHaveFocus()
    await userEvent.type(box, 'Which report?')
    await userEvent.click(screen.getByRole('button', { name: 'Send message' }))
    expect(await screen.findByText('Which report?')).toBeInTheDocument()
    await userEvent.click(document.body)
    box.blur()
    await userEvent.keyboard('x')
    expect(await screen.findByRole('dialog', { name: 'Reject' })).toBeInTheDocument()
  })

  it('says who has to agree, who has, and what is still missing', async () => {
    const vote = {
      by: { id: ME, name: 'Ada' },
      vote: 'approve',
      comment: null,
      at: FIRST.requested_at,
    } as const
    const demands = { ...FIRST.demands, approvers: [['owner', 'eve@example.org'], ['member']], quorum: 2 }
    serve([
      theirs({ ...FIRST, demands, votes: [{ ...vote, current: true }], agreed: 1, missing: [['member']] }),
    ])
    show(<InboxView project="weather" />, '/?state=open')
    expect(
      await screen.findByText(/2 people have to agree, among them an owner or eve@example.org and a member/),
    ).toBeVisible()
    expect(screen.getByText(/You have agreed. It still takes a member/)).toBeVisible()
    expect(within(screen.getByRole('list', { name: 'Votes' })).getByText(/Ada agreed/)).toBeVisible()
  })

  it('is no place for those whom the rule does not name', async () => {
    const demands = { ...FIRST.demands, approvers: [['owner']] }
    serve([theirs({ ...FIRST, requested_by: { id: 'user-3', name: 'Cyd' }, demands, may_answer: false })])
    show(<InboxView project="weather" />)
    expect(await screen.findByRole('heading', { name: 'Nothing is waiting for you.' })).toBeInTheDocument()
  })

  it('shows what an approver changed, and what was approved before', async () => {
    serve([
      theirs({
        ...PAYMENT,
        edited_by: { id: 'user-3', name: 'Cyd' },
        edited_at: FIRST.requested_at,
        edited_request: { tool: 'pay', arguments: { amount: 60, to: 'Ann' } },
      }),
    ])
    const last = { ...PAYMENT_BEFORE, request: { tool: 'pay', arguments: { amount: 10, to: 'Ann' } } }
    server.use(
      http.get(api('/approvals/:id/preview'), () => HttpResponse.json(aPreview({ last_approved: last }))),
    )
    show(<InboxView project="weather" />)
    const changed = await screen.findByRole('region', { name: 'Changed by Cyd' })
    expect(changed).toHaveTextContent('Removed: amount: 100')
    const before = await screen.findByRole('region', { name: 'Difference from the last one approved' })
    expect(before).toHaveTextContent('Removed: amount: 10')
  })

  it('shows what a write would do, and how well that is known', async () => {
    serve([PAYMENT])
    const outlook = {
      what: 'Update public.accounts',
      rows: { count: 1200, basis: 'exact' as const, why: null },
      besides: ['Triggers of the table run as well and may change more: told.'],
      plan: ['Update on public.accounts', '  Seq Scan on public.accounts about 1190 rows'],
      made_at: FIRST.requested_at,
      request_hash: PAYMENT.request_hash,
    }
    server.use(http.get(api('/approvals/:id/preview'), () => HttpResponse.json(aPreview({ outlook }))))
    show(<InboxView project="weather" />)
    const section = await screen.findByRole('region', { name: 'What it would do' })
    expect(section).toHaveTextContent('1,200 rows, counted.')
    expect(section).toHaveTextContent('Triggers of the table run as well')
    expect(section).not.toHaveTextContent('changed since.')
    expect(within(section).getByRole('region', { name: 'Plan of the database' })).toHaveTextContent(
      'Seq Scan',
    )
  })

  it('says when what a write would do is a guess, or about another request', async () => {
    serve([PAYMENT])
    const outlook = {
      what: 'Delete public.transfers',
      rows: { count: 1, basis: 'estimated' as const, why: 'Counting took too long.' },
      besides: [],
      plan: [],
      made_at: FIRST.requested_at,
      request_hash: 'of another request',
    }
    server.use(http.get(api('/approvals/:id/preview'), () => HttpResponse.json(aPreview({ outlook }))))
    show(<InboxView project="weather" />)
    const section = await screen.findByRole('region', { name: 'What it would do' })
    expect(section).toHaveTextContent('About 1 row, estimated. Counting took too long.')
    expect(section).toHaveTextContent('The request has been changed since.')
  })

  it('lets somebody else answer in my place', async () => {
    const { posted } = serve([SECOND])
    const cyd = { user_id: 'user-3', name: 'Cyd', email: 'cyd@example.org', joined_at: FIRST.requested_at }
    const viv = { ...cyd, user_id: 'user-4', name: 'Viv', role: 'viewer' }
    server.use(
      http.get(api('/projects/weather/members'), () =>
        HttpResponse.json({ items: [{ ...cyd, role: 'operator' }, viv], next_cursor: null }),
      ),
    )
    show(<InboxView project="weather" />)
    await screen.findByRole('article', { name: SECOND.title })
    await userEvent.keyboard('h')
    const dialog = within(await screen.findByRole('dialog', { name: 'Reassign' }))
    const choice = dialog.getByLabelText('Who answers in your place')
    await userEvent.selectOptions(choice, await within(choice).findByRole('option', { name: 'Cyd' }))
    expect(within(choice).queryByRole('option', { name: 'Viv' })).toBeNull()
    expect(within(choice).getByRole('option', { name: 'Operator' })).toBeInTheDocument()
    await userEvent.type(dialog.getByLabelText('Comment'), 'I am away')
    await userEvent.click(dialog.getByRole('button', { name: 'Reassign' }))
    await waitFor(() =>
      expect(posted).toEqual([
        {
          url: '/api/v1/approvals/a2/reassign',
          body: { to: 'cyd@example.org', comment: 'I am away' },
        },
      ]),
    )
  })

  it('says who answers in my place', async () => {
    const given = [
      { by: { id: ME, name: 'Ada' }, to: 'cyd@example.org', at: FIRST.requested_at, comment: '' },
    ]
    serve([{ ...SECOND, reassigned: given, may_answer: false }])
    show(<InboxView project="weather" />, '/?state=open')
    const question = within(await screen.findByRole('article', { name: SECOND.title }))
    expect(question.getByText(/You let somebody else answer in your place/)).toBeVisible()
    expect(question.getByRole('list', { name: 'Reassigned' })).toHaveTextContent('Ada to cyd@example.org')
  })

  it('says that nothing is waiting', async () => {
    serve([OWN])
    show(<InboxView project="weather" />)
    expect(await screen.findByRole('heading', { name: 'Nothing is waiting for you.' })).toBeInTheDocument()
  })
})
