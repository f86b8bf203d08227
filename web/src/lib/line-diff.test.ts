import { describe, expect, it } from 'vitest'
import { type DiffLine, diffLines, foldDiff } from './line-diff'

const shown = (lines: readonly DiffLine[]): string[] =>
  lines.map((line) => `${{ same: ' ', added: '+', removed: '-' }[line.kind]}${line.text}`)

const apply = (lines: readonly DiffLine[], side: 'removed' | 'added'): string =>
  lines
    .filter((line) => line.kind === 'same' || line.kind === side)
    .map((line) => line.text)
    .join('\n')

describe('diffLines', () => {
  it('calls equal texts the same', () => {
    expect(shown(diffLines('a\nb', 'a\nb'))).toEqual([' a', ' b'])
  })

  it('shows one changed line as removed and added', () => {
    expect(shown(diffLines('a\nb\nc', 'a\nB\nc'))).toEqual([' a', '-b', '+B', ' c'])
  })

  it('finds the fewest changes, not a replacement of everything', () => {
    const lines = diffLines('a\nb\nc\na\nb\nb\na', 'c\nb\na\nb\na\nc')
    expect(lines.filter((line) => line.kind !== 'same')).toHaveLength(5)
  })

  it('numbers the lines of both sides', () => {
    const inserted = diffLines('a\nc', 'a\nb\nc')
    expect(inserted.map(({ before, after }) => [before, after])).toEqual([
      [1, 1],
      [null, 2],
      [2, 3],
    ])
  })

  it('takes an empty text as no lines', () => {
    expect(shown(diffLines('', 'a\nb\n'))).toEqual(['+a', '+b'])
    expect(shown(diffLines('a\nb\n', ''))).toEqual(['-a', '-b'])
    expect(diffLines('', '')).toEqual([])
  })

  it('gives back both texts, whatever they are', () => {
    let seed = 7
    const next = (below: number) => {
      seed = (seed * 16807) % 2147483647
      return seed % below
    }
    for (let round = 0; round < 300; round += 1) {
      const text = () => Array.from({ length: 1 + next(12) }, () => 'abcd'[next(4)]).join('\n')
      const [before, after] = [text(), text()]
      const lines = diffLines(before, after)
      expect(apply(lines, 'removed')).toBe(before)
      expect(apply(lines, 'added')).toBe(after)
    }
  })
})

describe('foldDiff', () => {
  it('keeps the lines around a change and folds the rest', () => {
    const before = Array.from({ length: 20 }, (_, line) => `line ${line}`)
    const after = before.with(10, 'changed')
    const parts = foldDiff(diffLines(before.join('\n'), after.join('\n')), 2)
    expect(parts.map((part) => ('folded' in part ? part.folded : part.lines.length))).toEqual([8, 6, 7])
  })

  it('folds everything when nothing changed', () => {
    expect(foldDiff(diffLines('a\nb', 'a\nb'))).toEqual([{ folded: 2, next: 2 }])
  })
})
