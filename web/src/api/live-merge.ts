import type { Event } from './generated/types.gen'

export type Merged = { fresh: Event[]; seq: number; gap: boolean }

/**
 * What of a batch is new to a reader who has everything up to `seen`.
 *
 * Events that the reader has are left out. With `gap` something between `seen` and the batch is missing:
 * nothing is taken then, and the reader must ask again from `seen`.
 */
export function mergeEvents(seen: number, batch: readonly Event[]): Merged {
  const fresh: Event[] = []
  let seq = seen
  for (const event of [...batch].sort((a, b) => a.seq - b.seq)) {
    if (event.seq <= seq) continue
    if (event.seq !== seq + 1) return { fresh: [], seq: seen, gap: true }
    fresh.push(event)
    seq = event.seq
  }
  return { fresh, seq, gap: false }
}

/** Text that a model is writing. `points` counts characters as the server does: by code point. */
export type StreamedText = { text: string; points: number; stepId: string }
export type StreamPiece = { call_id: string; step_id: string; offset: number; text: string }

const NOTHING = { text: '', points: 0 }

/**
 * The text after one more piece. Pieces may come twice or be left out; what is missing shows as an ellipsis.
 * A piece from the very beginning is all there is so far: a call that is sent again starts its text anew.
 */
export function mergeText(current: StreamedText | undefined, piece: StreamPiece): StreamedText {
  if (piece.offset === 0) return { text: piece.text, points: countPoints(piece.text), stepId: piece.step_id }
  const { text, points } = current ?? NOTHING
  const end = piece.offset + countPoints(piece.text)
  if (end <= points) return { text, points, stepId: piece.step_id }
  const kept = piece.offset < points ? [...text].slice(0, piece.offset).join('') : text
  const missing = piece.offset > points ? ' … ' : ''
  return { text: kept + missing + piece.text, points: end, stepId: piece.step_id }
}

function countPoints(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

/** How long to wait before the n-th try to reconnect: 0.5 to 15 s, spread so that not all tabs come at once. */
export function reconnectDelay(failures: number, random: () => number): number {
  const ceiling = Math.min(15_000, 1000 * 2 ** failures)
  return 500 + random() * (ceiling - 500)
}
