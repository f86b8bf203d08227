import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { cleanup, render, waitFor } from '@testing-library/react'
import { afterEach, expect, test, vi } from 'vitest'
import { live } from '@/api/use-live'
import { violationKeys } from '@/features/policies/decisions-api'
import { runKeys } from '@/features/runs/keys'
import { useProjectLive } from './use-project-live'

afterEach(() => {
  cleanup()
  vi.restoreAllMocks()
})

function Frame() {
  useProjectLive('weather')
  return null
}

test('what changes in runs lets the lists of runs and of violations be asked for again', async () => {
  let tell: (changed: string[]) => void = () => undefined
  vi.spyOn(live, 'listenToProject').mockImplementation((_, changed) => {
    tell = changed
    return () => undefined
  })
  const client = new QueryClient()
  const again = vi.spyOn(client, 'invalidateQueries')
  render(
    <QueryClientProvider client={client}>
      <Frame />
    </QueryClientProvider>,
  )
  tell(['runs'])
  await waitFor(() => {
    expect(again).toHaveBeenCalledWith({ queryKey: runKeys.listsOf('weather') })
    expect(again).toHaveBeenCalledWith({ queryKey: violationKeys.of('weather') })
  })
})
