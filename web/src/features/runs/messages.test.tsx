import { act, screen } from '@testing-library/react'
import { afterEach, expect, test } from 'vitest'
import { aCall } from '@/test/factories'
import { show } from '@/test/render'
import { Messages } from './messages'
import { forgetTexts, takeText } from './stream-store'

afterEach(forgetTexts)

const asked = { model: 'scripted', messages: [{ role: 'user', text: 'Which month?' }] }
const nextFrame = () => act(() => new Promise((resolve) => requestAnimationFrame(resolve)))

test('what a model is writing is shown as it comes, and the recorded answer replaces it', async () => {
  const call = aCall({ id: 'c', kind: 'llm', status: 'prepared', request: asked })
  const { rerender } = show(<Messages calls={[call]} />)
  takeText({ call_id: 'c', step_id: 'step-1', offset: 0, text: 'March was ' })
  takeText({ call_id: 'c', step_id: 'step-1', offset: 10, text: 'wet' })
  await nextFrame()
  expect(screen.getByText('March was wet')).toBeVisible()
  rerender(<Messages calls={[{ ...call, status: 'done', response: { text: 'March was wet.' } }]} />)
  expect(screen.getByText('March was wet.')).toBeVisible()
  expect(screen.queryByText('Model, writing')).toBeNull()
})

test('a run that asked no model says so', () => {
  show(<Messages calls={[aCall()]} />)
  expect(screen.getByText('No messages')).toBeVisible()
})
