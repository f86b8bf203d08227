import { screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { afterEach, expect, test, vi } from 'vitest'
import { request } from '@/api/client'
import type { Member, Role } from '@/api/generated/types.gen'
import { viewAs, viewAsOneself } from '@/api/view-as'
import { aProject, showAs, TABLE } from '@/test/as-role'
import { aProblem, someTokens } from '@/test/factories'
import { api, server } from '@/test/server'
import { refusal } from './may'
import { MemberList } from './member-list'
import { PermittedButton, PermittedLink } from './permitted-button'
import { RoleMatrix } from './role-matrix'
import { ViewAsBar } from './view-as-bar'

const aMember = (id: string, name: string, role: Role): Member => ({
  user_id: id,
  email: `${name.toLowerCase()}@example.org`,
  name,
  role,
  joined_at: '2026-11-22T09:41:07Z',
})

afterEach(viewAsOneself)

test('what a role does not allow is told with the roles that do', () => {
  expect(refusal(TABLE, 'viewer', 'run:create')).toBe(
    'Start runs: your role here is viewer, and this takes owner, admin or operator.',
  )
  expect(refusal(TABLE, 'operator', 'run:create')).toBeNull()
  expect(refusal(undefined, 'viewer', 'run:create')).toBeNull()
  expect(refusal(TABLE, undefined, 'run:create')).toBeNull()
})

test('a button that the role does not allow can be read, and does nothing', async () => {
  const act = vi.fn()
  showAs(
    'viewer',
    <PermittedButton permission="run:create" onClick={act}>
      Run
    </PermittedButton>,
  )
  const button = screen.getByRole('button', { name: 'Run' })
  expect(button).toHaveAttribute('aria-disabled', 'true')
  expect(button).toHaveAccessibleDescription(/your role here is viewer/)
  await userEvent.click(button)
  expect(act).not.toHaveBeenCalled()
})

test('a link to where the role may change nothing leads nowhere', () => {
  showAs(
    'viewer',
    <PermittedLink permission="run:create" to="/new">
      New
    </PermittedLink>,
  )
  expect(screen.queryByRole('link')).toBeNull()
  expect(screen.getByRole('button', { name: 'New' })).toHaveAttribute('aria-disabled', 'true')
})

test('an owner sees the pages as a viewer does, and nothing is sent meanwhile', async () => {
  const sent = vi.fn()
  server.use(
    http.post(api('/runs'), () => {
      sent()
      return HttpResponse.json({}, { status: 201 })
    }),
  )
  showAs(
    'owner',
    <>
      <ViewAsBar project="weather" />
      <RoleMatrix
        table={TABLE}
        own="owner"
        shown={null}
        onViewAs={(role) => viewAs({ project: 'weather', role })}
      />
      <PermittedButton permission="run:create">Run</PermittedButton>
    </>,
  )
  expect(screen.getByRole('button', { name: 'Run' })).not.toHaveAttribute('aria-disabled')
  await userEvent.click(screen.getByRole('button', { name: 'View as viewer' }))
  expect(screen.getByRole('status', { name: 'Preview of a role' })).toHaveTextContent('as viewer')
  expect(screen.getByRole('button', { name: 'Run' })).toHaveAttribute('aria-disabled', 'true')
  await expect(request('POST', '/api/v1/runs')).rejects.toMatchObject({ code: 'preview' })
  expect(sent).not.toHaveBeenCalled()
  await userEvent.click(screen.getByRole('button', { name: 'Stop the preview' }))
  expect(screen.getByRole('button', { name: 'Run' })).not.toHaveAttribute('aria-disabled')
  await request('POST', '/api/v1/runs')
  expect(sent).toHaveBeenCalledOnce()
})

test('the matrix says of each role what it allows', () => {
  showAs('viewer', <RoleMatrix table={TABLE} own="viewer" shown="viewer" onViewAs={() => {}} />)
  const row = screen.getByRole('row', { name: /Manage members/ })
  expect(row).toHaveTextContent(/no.*no/)
  expect(screen.getByRole('button', { name: 'View as viewer' })).toHaveAttribute('aria-pressed', 'true')
  expect(screen.getAllByRole('img', { name: 'yes' })).toHaveLength(
    TABLE.roles.flatMap((row) => row.permissions).length,
  )
  expect(screen.queryByText('Manage people')).toBeNull()
})

const MEMBERS = [
  aMember('user-1', 'Ada', 'admin'),
  aMember('user-2', 'Bob', 'viewer'),
  aMember('user-3', 'Cy', 'owner'),
]

test('an administrator of a project changes roles, but makes and unmakes no owner', async () => {
  const bodies: unknown[] = []
  server.use(
    http.put(api('/projects/weather/members/user-2'), async ({ request: sent }) => {
      bodies.push(await sent.json())
      return HttpResponse.json(aMember('user-2', 'Bob', 'operator'))
    }),
    http.get(api('/me'), () => HttpResponse.json({ user: someTokens().user, projects: [aProject('admin')] })),
  )
  showAs('admin', <MemberList project="weather" members={MEMBERS} />)
  expect(screen.queryByLabelText('Role of Cy')).toBeNull()
  const choice = screen.getByLabelText('Role of Bob')
  expect(screen.queryByRole('option', { name: 'Owner' })).toBeNull()
  await userEvent.selectOptions(choice, 'operator')
  await vi.waitFor(() => expect(bodies).toEqual([{ role: 'operator' }]))
})

test('who is removed is asked about first, and a refusal is told', async () => {
  const detail = 'This is the only owner who may sign in; make somebody else an owner first.'
  server.use(
    http.delete(api('/projects/weather/members/user-3'), () =>
      HttpResponse.json(aProblem(409, 'last-owner', detail), { status: 409 }),
    ),
  )
  showAs('owner', <MemberList project="weather" members={MEMBERS} />)
  await userEvent.click(screen.getByRole('button', { name: 'Remove Cy' }))
  await userEvent.click(screen.getByRole('button', { name: 'Remove' }))
  expect(await screen.findByText(detail)).toBeVisible()
})

test('a viewer sees who belongs to the project, and changes nothing', () => {
  showAs('viewer', <MemberList project="weather" members={MEMBERS} />)
  expect(screen.queryByRole('combobox')).toBeNull()
  for (const button of screen.getAllByRole('button')) expect(button).toHaveAttribute('aria-disabled', 'true')
})
