import { QueryClientProvider } from '@tanstack/react-query'
import { render } from '@testing-library/react'
import type { ReactElement } from 'react'
import { MemoryRouter, Route, Routes } from 'react-router'
import type { PermissionTable, Project, Role } from '@/api/generated/types.gen'
import { openSession } from '@/api/session'
import { makeQueryClient } from '@/app/query-client'
import { permissionsQuery } from '@/features/access/api'
import { meQuery } from '@/features/identity/api'
import { someTokens } from './factories'

const WRITES: PermissionTable['roles'][number]['permissions'] = [
  'run:read',
  'run:create',
  'member:manage',
  'project:update',
  'secret:read',
  'secret:manage',
  'account:read',
  'account:manage',
  'audit:read',
  'halt:order',
]

/** A table as the server gives it, shortened. */
export const TABLE: PermissionTable = {
  permissions: [
    { permission: 'run:read', description: 'See runs', scope: 'project', operations: ['listRuns'] },
    { permission: 'run:create', description: 'Start runs', scope: 'project', operations: ['createRun'] },
    { permission: 'member:manage', description: 'Manage members', scope: 'project', operations: [] },
    { permission: 'project:update', description: 'Change settings', scope: 'project', operations: [] },
    { permission: 'project:delete', description: 'Delete it', scope: 'project', operations: [] },
    { permission: 'secret:read', description: 'See secrets', scope: 'project', operations: [] },
    { permission: 'secret:manage', description: 'Write secrets', scope: 'project', operations: [] },
    { permission: 'account:read', description: 'See accounts', scope: 'project', operations: [] },
    { permission: 'account:manage', description: 'Manage accounts', scope: 'project', operations: [] },
    { permission: 'audit:read', description: 'Read the audit log', scope: 'project', operations: [] },
    { permission: 'halt:order', description: 'Stop and release', scope: 'project', operations: [] },
    { permission: 'user:manage', description: 'Manage people', scope: 'installation', operations: [] },
  ],
  roles: [
    { role: 'owner', permissions: [...WRITES, 'project:delete'] },
    { role: 'admin', permissions: WRITES },
    { role: 'operator', permissions: ['run:read', 'run:create'] },
    { role: 'viewer', permissions: ['run:read', 'secret:read', 'account:read'] },
  ],
  signed_in: [],
  people: [],
  open: [],
}

export const aProject = (role: Role, given: Partial<Project> = {}): Project => ({
  id: 'project-1',
  slug: 'weather',
  name: 'Weather',
  role,
  max_running_runs: null,
  default_effect: 'allow',
  time_zone: 'UTC',
  keep_runs_days: null,
  keep_log_days: null,
  keep_values_days: null,
  created_at: '2026-11-22T09:41:07Z',
  ...given,
})

/** Shows a part of a page of the project as somebody of this role sees it. */
export function showAs(role: Role, part: ReactElement) {
  const client = makeQueryClient()
  client.setQueryData(meQuery.queryKey, {
    user: someTokens().user,
    projects: [aProject(role)],
    may_create_projects: false,
  })
  client.setQueryData(permissionsQuery.queryKey, TABLE)
  openSession(someTokens())
  render(
    <QueryClientProvider client={client}>
      <MemoryRouter initialEntries={['/p/weather/runs']}>
        <Routes>
          <Route path="/p/:project/runs" element={part} />
        </Routes>
      </MemoryRouter>
    </QueryClientProvider>,
  )
}
