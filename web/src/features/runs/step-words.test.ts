import { expect, test } from 'vitest'
import { stepFace } from '@/components/faces'
import { aStep } from '@/test/factories'
import { frameWords, itemWords, needWords, skipWords, stepAbout, undoes, waitWords } from './step-words'

const frames = {
  total: 12,
  concurrency: 2,
  stop_on_error: true,
  expanded: 12,
  started: 5,
  ended: 3,
  failed: 1,
}

test('a step says what it is and how far it is', () => {
  expect(stepAbout(aStep({ type: 'branch', name: null, chosen: ['a', 'b'] }))).toBe('branch → a, b')
  expect(stepAbout(aStep({ type: 'branch', name: null, chosen: [] }))).toBe('branch → none')
  expect(stepAbout(aStep({ type: 'map', name: null, frames }))).toBe('map 3 of 12, 1 failed')
  expect(stepAbout(aStep({ type: 'workflow', name: 'billing' }))).toBe('workflow billing')
  expect(stepAbout(aStep({ key: 'book:undo', undo_of: 'x' }))).toBe('takes back book')
  expect(frameWords({ type: 'loop', frames: { ...frames, total: null, failed: 0 } })).toBe('3 passes done')
  expect(undoes(aStep())).toBeNull()
})

test('a large item says that it is one', () => {
  expect(itemWords('{"$blob": {"type": "string"')).toBe('a large value')
  expect(itemWords('"Rome"')).toBe('"Rome"')
  expect(itemWords(null)).toBeNull()
})

test('a wait says for what', () => {
  const event = { kind: 'event', event: 'paid' }
  expect(waitWords({ waiting_for: event, wake_at: '2026-11-22T09:41:07Z' })).toBe('for paid')
  expect(waitWords({ waiting_for: { kind: 'timer' }, wake_at: '2026-11-22T09:41:07Z' })).toMatch(/^until \d/)
  expect(waitWords({ waiting_for: null, wake_at: null })).toBeNull()
})

test('only an approval asks for a person', () => {
  const tones = ['approval', 'timer', 'event', 'run', 'frames'].map(
    (kind) => stepFace(aStep({ status: 'waiting', waiting_for: { kind } })).tone,
  )
  expect(tones).toEqual(['waiting', 'queued', 'queued', 'running', 'running'])
})

test('a ready step is held, queued, or to be tried again', () => {
  const label = (given: Parameters<typeof aStep>[0]) => stepFace(aStep({ status: 'ready', ...given })).label
  expect(label({ held: true })).toBe('Held')
  expect(label({ attempt: 0 })).toBe('Queued')
  expect(label({ attempt: 2 })).toBe('To be tried again')
})

test('a step says what it needs, and how much of it', () => {
  const needs = ['a', 'b', 'c']
  expect(needWords({ needs: [], join: 'all', join_count: null })).toBe('Nothing')
  expect(needWords({ needs, join: 'all', join_count: null })).toBe('a, b, c')
  expect(needWords({ needs, join: 'at_least', join_count: 2 })).toBe('At least 2 of a, b, c')
})

test('a skipped step says why', () => {
  expect(skipWords({ skipped_because: 'upstream', needs: ['a'] })).toContain('a.')
  expect(skipWords({ skipped_because: 'branch', needs: ['a'] })).toContain('chose other steps')
})
