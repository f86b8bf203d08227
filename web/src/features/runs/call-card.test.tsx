import { render, screen } from '@testing-library/react'
import { MemoryRouter } from 'react-router'
import { expect, test } from 'vitest'
import { aCall } from '@/test/factories'
import { CallCard } from './call-card'

const request = { tool: 'mail.send', arguments: { to: 'bob@example.com', text: 'Hello' } }

test('a call that an approver changed shows what went out, who changed it, and what is different', () => {
  const edit = {
    request: { tool: 'mail.send', arguments: { to: 'bob@example.com', text: 'Good morning' } },
    by: { id: 'u', name: 'Ben' },
    at: '2026-11-02T08:00:00Z',
  }
  const { rerender } = render(<CallCard call={aCall({ request, edit })} open />, { wrapper: MemoryRouter })
  expect(screen.getByRole('heading', { name: /as Ben changed it/ })).toBeVisible()
  const lines = screen.getByRole('region', { name: 'What Ben changed in call 1, lines' })
  expect(lines).toHaveTextContent(/Removed:.*text: "Hello".*Added:.*text: "Good morning"/)
  expect(screen.getByRole('heading', { name: 'Request, as the step made it' })).toBeVisible()

  rerender(<CallCard call={aCall({ request })} open />)
  expect(screen.queryByRole('region', { name: /What Ben changed/ })).toBeNull()
  expect(screen.getByRole('heading', { name: 'Request' })).toBeVisible()
})
