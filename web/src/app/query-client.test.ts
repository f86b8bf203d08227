import { QueryObserver } from '@tanstack/react-query'
import { expect, test, vi } from 'vitest'
import { closeSession, openSession } from '@/api/session'
import { someTokens } from '@/test/factories'
import { forgetWithTheSession, makeQueryClient } from './query-client'

test('what a page asked before it is known that nobody is signed in is answered all the same', async () => {
  const client = makeQueryClient()
  const stop = forgetWithTheSession(client)
  const answer = Promise.withResolvers<string>()
  const shown = vi.fn()
  const leave = new QueryObserver(client, { queryKey: ['link'], queryFn: () => answer.promise }).subscribe(
    ({ data }) => shown(data),
  )
  closeSession()
  answer.resolve('An invitation')
  await vi.waitFor(() => expect(shown).toHaveBeenLastCalledWith('An invitation'))
  leave()
  stop()
})

test('what somebody read is forgotten as they sign out', () => {
  const client = makeQueryClient()
  const stop = forgetWithTheSession(client)
  openSession(someTokens())
  client.setQueryData(['runs'], ['a run'])
  closeSession()
  expect(client.getQueryData(['runs'])).toBeUndefined()
  stop()
})
