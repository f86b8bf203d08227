// The part of Markdown that reports use: headings, paragraphs, lists, tables, code and rules. Whatever else
// stands in a text stays as it was written, so that nothing is hidden from the reader.

export type Align = 'start' | 'center' | 'end'
export type Block =
  | { kind: 'heading'; level: number; text: string }
  | { kind: 'paragraph'; text: string }
  | { kind: 'list'; ordered: boolean; items: string[] }
  | { kind: 'table'; head: string[]; aligns: Align[]; rows: string[][] }
  | { kind: 'code'; text: string }
  | { kind: 'rule' }

const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/
const ITEM = /^\s*(?:[-*+]|(\d+)[.)])\s+(.*)$/
const TABLE_LINE = /^\s*\|.*\|\s*$/
const TABLE_RULE = /^\s*\|(?:\s*:?-+:?\s*\|)+\s*$/
const FENCE = /^\s*(```|~~~)/
const RULE = /^\s*([-*_])(?:\s*\1){2,}\s*$/

/** Whether a text is worth showing as Markdown. */
export const looksLikeMarkdown = (text: string): boolean =>
  text.split('\n').some((line) => HEADING.test(line) || TABLE_RULE.test(line) || FENCE.test(line))

export function parseMarkdown(text: string): Block[] {
  const lines = text.split('\n')
  const blocks: Block[] = []
  let at = 0
  while (at < lines.length) {
    if (lines[at]?.trim() === '') {
      at += 1
      continue
    }
    const [block, next] = readBlock(lines, at)
    blocks.push(block)
    at = next
  }
  return blocks
}

type Read = [block: Block, next: number]

function readBlock(lines: readonly string[], at: number): Read {
  const line = lines[at] ?? ''
  const heading = HEADING.exec(line)
  if (heading) return [{ kind: 'heading', level: heading[1]?.length ?? 1, text: heading[2] ?? '' }, at + 1]
  if (RULE.test(line)) return [{ kind: 'rule' }, at + 1]
  if (FENCE.test(line)) return readCode(lines, at)
  if (TABLE_LINE.test(line) && TABLE_RULE.test(lines[at + 1] ?? '')) return readTable(lines, at)
  if (ITEM.test(line)) return readList(lines, at)
  return readParagraph(lines, at)
}

function readCode(lines: readonly string[], at: number): Read {
  const fence = FENCE.exec(lines[at] ?? '')?.[1] ?? '```'
  const end = lines.findIndex((line, index) => index > at && line.trimStart().startsWith(fence))
  const last = end === -1 ? lines.length : end
  return [{ kind: 'code', text: lines.slice(at + 1, last).join('\n') }, last + 1]
}

const cellsOf = (line: string): string[] =>
  line
    .trim()
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'))

function alignOf(cell: string): Align {
  if (!cell.endsWith(':')) return 'start'
  return cell.startsWith(':') ? 'center' : 'end'
}

function readTable(lines: readonly string[], at: number): Read {
  let next = at + 2
  while (next < lines.length && TABLE_LINE.test(lines[next] ?? '')) next += 1
  return [
    {
      kind: 'table',
      head: cellsOf(lines[at] ?? ''),
      aligns: cellsOf(lines[at + 1] ?? '').map(alignOf),
      rows: lines.slice(at + 2, next).map(cellsOf),
    },
    next,
  ]
}

function readList(lines: readonly string[], at: number): Read {
  const items: string[] = []
  let next = at
  for (; next < lines.length; next += 1) {
    const line = lines[next] ?? ''
    const item = ITEM.exec(line)
    if (item) items.push(item[2] ?? '')
    else if (/^\s+\S/.test(line) && items.length > 0) items.push(`${items.pop()} ${line.trim()}`)
    else break
  }
  return [{ kind: 'list', ordered: ITEM.exec(lines[at] ?? '')?.[1] !== undefined, items }, next]
}

const startsBlock = (line: string): boolean =>
  line.trim() === '' ||
  HEADING.test(line) ||
  FENCE.test(line) ||
  ITEM.test(line) ||
  TABLE_RULE.test(line) ||
  RULE.test(line)

function readParagraph(lines: readonly string[], at: number): Read {
  let next = at + 1
  while (next < lines.length && !startsBlock(lines[next] ?? '') && !TABLE_RULE.test(lines[next + 1] ?? ''))
    next += 1
  return [{ kind: 'paragraph', text: lines.slice(at, next).join('\n') }, next]
}

export type Inline = { kind: 'text' | 'code' | 'strong' | 'emphasis'; text: string }

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])/g

/** The pieces of a line. Links and pictures stay as written: an address must be seen before it is followed. */
export function parseInline(text: string): Inline[] {
  const pieces: Inline[] = []
  let from = 0
  for (const match of text.matchAll(INLINE)) {
    if (match.index > from) pieces.push({ kind: 'text', text: text.slice(from, match.index) })
    const [whole, code, strong, emphasis] = match
    if (code !== undefined) pieces.push({ kind: 'code', text: code })
    else if (strong !== undefined) pieces.push({ kind: 'strong', text: strong })
    else pieces.push({ kind: 'emphasis', text: emphasis ?? '' })
    from = match.index + whole.length
  }
  if (from < text.length) pieces.push({ kind: 'text', text: text.slice(from) })
  return pieces
}
