import { act, render, screen } from '@testing-library/react'
import { beforeEach, expect, test } from 'vitest'
import { dropTexts, forgetTexts, takeText, useStreamedText } from './stream-store'

const Shown = () => <p data-testid="text">{useStreamedText('call-1')?.text ?? 'nothing'}</p>

async function say(offset: number, text: string) {
  takeText({ call_id: 'call-1', step_id: 'step-1', offset, text })
  await act(() => new Promise((resolve) => requestAnimationFrame(resolve)))
}
const shown = () => screen.getByTestId('text').textContent

beforeEach(() => {
  forgetTexts()
  render(<Shown />)
})

test('the text of a recorded call is gone, and a late piece does not bring it back', async () => {
  await say(0, 'Rain ')
  expect(shown()).toBe('Rain ')
  act(() => dropTexts(['call-1']))
  await say(5, 'fell.')
  expect(shown()).toBe('nothing')
})

test('a call that is sent again is heard again', async () => {
  dropTexts(['call-1'])
  await say(0, 'Sun')
  expect(shown()).toBe('Sun')
})
