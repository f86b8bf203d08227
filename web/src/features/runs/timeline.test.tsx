import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test, vi } from 'vitest'
import { aCall, aRun, aStep } from '@/test/factories'
import { show } from '@/test/render'
import { Timeline } from './timeline'

const steps = [
  aStep({ id: 'a', key: 'monthly', status: 'succeeded' }),
  aStep({ id: 'b', key: 'analyse', type: 'agent', name: 'analyst', status: 'running' }),
  aStep({ id: 'c', key: 'publish', status: 'failed' }),
]
const calls = [aCall({ id: 'x', step_id: 'b', kind: 'llm', name: 'scripted' })]

function open() {
  const onSelect = vi.fn()
  show(<Timeline run={aRun()} steps={steps} calls={calls} selection={null} onSelect={onSelect} />)
  return onSelect
}

const names = () =>
  within(screen.getByRole('rowgroup'))
    .getAllByRole('row')
    .map((row) => row.getAttribute('aria-label'))

test('rows say what they are and how they stand', () => {
  open()
  expect(names()).toEqual([
    'monthly, tool sql.query, Succeeded',
    'analyse, agent analyst, Running',
    'scripted, llm, Done',
    'publish, tool sql.query, Failed',
  ])
})

test('a click selects a step, or a call of it', async () => {
  const onSelect = open()
  await userEvent.click(screen.getByRole('row', { name: /^scripted/ }))
  expect(onSelect).toHaveBeenLastCalledWith({ stepId: 'b', callId: 'x', item: null })
})

test('keys walk the rows, fold and select', async () => {
  const onSelect = open()
  screen.getByRole('row', { name: /^monthly/ }).focus()
  await userEvent.keyboard('{ArrowDown}{ArrowLeft}')
  expect(names()).not.toContain('scripted, llm, Done')
  expect(screen.getByRole('row', { name: /^analyse/ })).toHaveAttribute('aria-expanded', 'false')
  await userEvent.keyboard('{Enter}')
  expect(onSelect).toHaveBeenLastCalledWith({ stepId: 'b', callId: null, item: null })
})

test('a large run is a few rows at a time', () => {
  const many = Array.from({ length: 5000 }, (_, index) => aStep({ id: `s${index}`, key: `step_${index}` }))
  show(
    <Timeline
      run={aRun({ status: 'succeeded' })}
      steps={many}
      calls={[]}
      selection={null}
      onSelect={() => {}}
    />,
  )
  expect(screen.getByRole('treegrid')).toHaveAttribute('aria-rowcount', '5001')
  expect(names().length).toBeLessThan(60)
})

test('steps can be filtered by state and by text', async () => {
  open()
  await userEvent.click(screen.getByRole('button', { name: '1 failed' }))
  expect(names()).toEqual(['publish, tool sql.query, Failed'])
  await userEvent.click(screen.getByRole('button', { name: '1 failed' }))
  await userEvent.type(screen.getByLabelText('Filter steps'), 'analyst')
  expect(names()).toEqual(['analyse, agent analyst, Running', 'scripted, llm, Done'])
})
