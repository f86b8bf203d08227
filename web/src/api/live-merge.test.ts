import { describe, expect, test } from 'vitest'
import { anEvent } from '@/test/factories'
import { mergeEvents, mergeText, reconnectDelay, type StreamPiece } from './live-merge'

const seqs = (merged: { fresh: { seq: number }[] }) => merged.fresh.map((event) => event.seq)

describe('events', () => {
  test('what the reader has is left out', () => {
    const merged = mergeEvents(3, [anEvent(2), anEvent(3), anEvent(4), anEvent(5)])
    expect(seqs(merged)).toEqual([4, 5])
    expect(merged).toMatchObject({ seq: 5, gap: false })
  })

  test('a batch that comes twice adds nothing', () => {
    const once = mergeEvents(0, [anEvent(1), anEvent(2)])
    expect(seqs(mergeEvents(once.seq, [anEvent(1), anEvent(2)]))).toEqual([])
  })

  test('with a gap nothing is taken, and the place stays', () => {
    expect(mergeEvents(3, [anEvent(5), anEvent(6)])).toEqual({ fresh: [], seq: 3, gap: true })
  })

  test('the order of a batch does not matter', () => {
    expect(seqs(mergeEvents(0, [anEvent(3), anEvent(1), anEvent(2)]))).toEqual([1, 2, 3])
  })
})

describe('text', () => {
  const piece = (offset: number, text: string): StreamPiece => ({ call_id: 'c', step_id: 's', offset, text })
  const after = (...pieces: StreamPiece[]) =>
    pieces.reduce(mergeText, undefined as Parameters<typeof mergeText>[0])?.text

  test('pieces follow each other, and one that comes twice adds nothing', () => {
    expect(after(piece(0, 'Rain '), piece(5, 'fell.'), piece(5, 'fell.'))).toBe('Rain fell.')
  })

  test('the text so far, sent to a late reader, replaces what overlaps', () => {
    expect(after(piece(0, 'Rain '), piece(0, 'Rain fell.'))).toBe('Rain fell.')
  })

  test('a call that is sent again starts its text anew', () => {
    expect(after(piece(0, 'Rain '), piece(5, 'fell.'), piece(0, 'Sun'), piece(3, ' shone.'))).toBe(
      'Sun shone.',
    )
  })

  test('offsets count characters as the server does', () => {
    expect(after(piece(0, '🌧 '), piece(2, 'fell'))).toBe('🌧 fell')
  })

  test('a missing piece shows', () => {
    expect(after(piece(0, 'Rain '), piece(9, 'end'))).toBe('Rain  … end')
  })
})

test('reconnecting waits between half a second and fifteen', () => {
  expect(reconnectDelay(0, () => 0)).toBe(500)
  expect(reconnectDelay(0, () => 1)).toBe(1000)
  expect(reconnectDelay(20, () => 1)).toBe(15_000)
})
