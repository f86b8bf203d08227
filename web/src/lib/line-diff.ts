export type DiffLine = {
  kind: 'same' | 'added' | 'removed'
  text: string
  /** Line numbers from 1; null on the side where the line is missing. */
  before: number | null
  after: number | null
}

/** Beyond this many steps of the search the rest is shown as replaced: two unrelated texts have no useful diff. */
const MAX_DISTANCE = 2000

/** The shortest way from one text to the other, line by line (Myers). */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = linesOf(before)
  const b = linesOf(after)
  const start = commonStart(a, b)
  const end = commonEnd(a, b, start)
  const middle = walk(a.slice(start, a.length - end), b.slice(start, b.length - end))
  const kinds = [...repeat('same', start), ...middle, ...repeat('same', end)]
  return number(kinds, a, b)
}

type Kind = DiffLine['kind']

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

const repeat = (kind: Kind, count: number): Kind[] => Array.from({ length: count }, () => kind)

function commonStart(a: readonly string[], b: readonly string[]): number {
  let at = 0
  while (at < a.length && at < b.length && a[at] === b[at]) at += 1
  return at
}

function commonEnd(a: readonly string[], b: readonly string[], start: number): number {
  let count = 0
  const most = Math.min(a.length, b.length) - start
  while (count < most && a[a.length - 1 - count] === b[b.length - 1 - count]) count += 1
  return count
}

/** For each number of edits, how far along `a` every diagonal gets; then back along the way that arrived. */
function walk(a: readonly string[], b: readonly string[]): Kind[] {
  const history: Map<number, number>[] = []
  let reach = new Map<number, number>([[1, 0]])
  for (let edits = 0; edits <= Math.min(a.length + b.length, MAX_DISTANCE); edits += 1) {
    history.push(reach)
    reach = new Map(reach)
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = firstStep(reach, diagonal, edits)
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x += 1
      reach.set(diagonal, x)
      if (x >= a.length && x - diagonal >= b.length) return backtrack(history, a.length, b.length)
    }
  }
  return [...repeat('removed', a.length), ...repeat('added', b.length)]
}

const goesDown = (reach: ReadonlyMap<number, number>, diagonal: number, edits: number): boolean =>
  diagonal === -edits ||
  (diagonal !== edits && (reach.get(diagonal - 1) ?? -1) < (reach.get(diagonal + 1) ?? -1))

function firstStep(reach: ReadonlyMap<number, number>, diagonal: number, edits: number): number {
  return goesDown(reach, diagonal, edits)
    ? (reach.get(diagonal + 1) ?? 0)
    : (reach.get(diagonal - 1) ?? 0) + 1
}

function backtrack(history: readonly ReadonlyMap<number, number>[], endX: number, endY: number): Kind[] {
  const kinds: Kind[] = []
  let [x, y] = [endX, endY]
  for (let edits = history.length - 1; edits >= 0; edits -= 1) {
    const reach = history[edits] ?? new Map<number, number>()
    const down = goesDown(reach, x - y, edits)
    const previous = down ? x - y + 1 : x - y - 1
    const fromX = reach.get(previous) ?? 0
    const fromY = fromX - previous
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      kinds.push('same')
      x -= 1
      y -= 1
    }
    if (edits > 0) kinds.push(down ? 'added' : 'removed')
    x = fromX
    y = fromY
  }
  return kinds.reverse()
}

function number(kinds: readonly Kind[], a: readonly string[], b: readonly string[]): DiffLine[] {
  let [before, after] = [0, 0]
  return kinds.map((kind) => {
    if (kind !== 'added') before += 1
    if (kind !== 'removed') after += 1
    const text = (kind === 'removed' ? a[before - 1] : b[after - 1]) ?? ''
    return { kind, text, before: kind === 'added' ? null : before, after: kind === 'removed' ? null : after }
  })
}

/** `next`: where the fold ends, counted from 0. */
export type DiffPart = { folded: number; next: number } | { lines: DiffLine[] }

/** The changed lines with `context` lines around them; what lies between is folded away. */
export function foldDiff(lines: readonly DiffLine[], context = 3): DiffPart[] {
  const near = new Set<number>()
  lines.forEach((line, index) => {
    if (line.kind === 'same') return
    for (let at = index - context; at <= index + context; at += 1) near.add(at)
  })
  const parts: DiffPart[] = []
  lines.forEach((line, index) => {
    const last = parts.at(-1)
    if (near.has(index)) {
      if (last && 'lines' in last) last.lines.push(line)
      else parts.push({ lines: [line] })
    } else if (last && 'folded' in last) {
      last.folded += 1
      last.next = index + 1
    } else parts.push({ folded: 1, next: index + 1 })
  })
  return parts
}
