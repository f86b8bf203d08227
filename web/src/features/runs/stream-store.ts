import { useSyncExternalStore } from 'react'
import { mergeText, type StreamedText, type StreamPiece } from '@/api/live-merge'

// What models are writing just now, by call. It lives here only: the recorded answer replaces it.
let texts: ReadonlyMap<string, StreamedText> = new Map()
let scheduled = false
const waiting: StreamPiece[] = []
const ended = new Set<string>()
const listeners = new Set<() => void>()

function apply(): void {
  scheduled = false
  const next = new Map(texts)
  for (const piece of waiting.splice(0)) next.set(piece.call_id, mergeText(next.get(piece.call_id), piece))
  texts = next
  for (const listener of listeners) listener()
}

/** Takes a piece of text; all pieces of one frame are shown at once. */
export function takeText(piece: StreamPiece): void {
  // A late piece of a recorded answer; only a call that is sent again begins anew.
  if (ended.has(piece.call_id) && piece.offset > 0) return
  ended.delete(piece.call_id)
  waiting.push(piece)
  if (scheduled) return
  scheduled = true
  requestAnimationFrame(apply)
}

/** These calls are recorded: what was heard of their writing is of no more use. */
export function dropTexts(callIds: readonly string[]): void {
  const gone = new Set(callIds)
  for (const id of gone) ended.add(id)
  waiting.splice(0, waiting.length, ...waiting.filter((piece) => !gone.has(piece.call_id)))
  texts = new Map([...texts].filter(([id]) => !gone.has(id)))
  for (const listener of listeners) listener()
}

export function forgetTexts(): void {
  waiting.length = 0
  ended.clear()
  texts = new Map()
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useStreamedText = (callId: string): StreamedText | undefined =>
  useSyncExternalStore(subscribe, () => texts.get(callId))
