import { screen, waitFor } from '@testing-library/react'
import { HttpResponse, http } from 'msw'
import { expect, test, vi } from 'vitest'
import { show } from '@/test/render'
import { api, server } from '@/test/server'
import { OidcSignIn } from './oidc-sign-in'

const serve = (enabled: boolean) =>
  server.use(http.get(api('/auth/oidc'), () => HttpResponse.json({ enabled, label: enabled ? 'Elk' : null })))

test('the button leads to the provider and back to the page that was wanted', async () => {
  serve(true)
  show(<OidcSignIn next="/p/weather/runs?status=failed" refused={null} />)
  const link = await screen.findByRole('link', { name: 'Sign in with Elk' })
  expect(link.getAttribute('href')).toBe(
    '/api/v1/auth/oidc/start?next=%2Fp%2Fweather%2Fruns%3Fstatus%3Dfailed',
  )
})

test('why it did not work is told in words, and nothing of the address is shown', async () => {
  serve(true)
  const { unmount } = show(<OidcSignIn next="/" refused="unknown" />)
  expect(await screen.findByRole('alert')).toHaveTextContent('Nobody has added you here.')
  unmount()
  show(<OidcSignIn next="/" refused="<b>call 555-1234</b>" />)
  expect(await screen.findByRole('alert')).toHaveTextContent('Signing in there did not work.')
})

test('without a provider there is nothing', async () => {
  const answered = vi.fn()
  server.events.on('response:mocked', answered)
  serve(false)
  const { container } = show(<OidcSignIn next="/" refused="expired" />)
  await waitFor(() => expect(answered).toHaveBeenCalled())
  expect(container).toBeEmptyDOMElement()
})
