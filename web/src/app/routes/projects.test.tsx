import { QueryClientProvider } from '@tanstack/react-query'
import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { HttpResponse, http } from 'msw'
import { MemoryRouter } from 'react-router'
import { expect, test } from 'vitest'
import { openSession } from '@/api/session'
import { makeQueryClient } from '@/app/query-client'
import { meQuery } from '@/features/identity/api'
import { someTokens } from '@/test/factories'
import { api, server } from '@/test/server'
import ProjectsPage from './projects'

function show(may: boolean) {
  server.use(
    http.get(api('/projects'), () => HttpResponse.json({ items: [], next_cursor: null })),
    http.get(api('/me'), () =>
      HttpResponse.json({ user: someTokens().user, projects: [], may_create_projects: may }),
    ),
  )
  const client = makeQueryClient()
  client.setQueryData(meQuery.queryKey, { user: someTokens().user, projects: [], may_create_projects: may })
  openSession(someTokens())
  render(
    <QueryClientProvider client={client}>
      <MemoryRouter>
        <ProjectsPage />
      </MemoryRouter>
    </QueryClientProvider>,
  )
}

test('who may create projects is asked for a name', async () => {
  show(true)
  await userEvent.click(screen.getByRole('button', { name: 'New project' }))
  expect(await screen.findByLabelText('Name')).toBeVisible()
})

test('who may not create projects is told who may', async () => {
  show(false)
  const button = screen.getByRole('button', { name: 'New project' })
  expect(button).toHaveAccessibleDescription(/Only administrators of the installation create projects/)
  await userEvent.click(button)
  expect(screen.queryByLabelText('Name')).toBeNull()
})
