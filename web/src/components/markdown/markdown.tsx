import { cn } from '@/lib/cn'
import { type Align, type Block, parseInline, parseMarkdown } from './parse'

const ALIGN = { start: 'text-left', center: 'text-center', end: 'text-right' } satisfies Record<Align, string>

/** A Markdown text as it will read. It makes no links and loads nothing. */
export function Markdown({ text }: { text: string }) {
  return (
    <div className="grid max-w-3xl gap-3 text-input">
      {parseMarkdown(text).map((block, index) => (
        <MarkdownBlock key={index} block={block} />
      ))}
    </div>
  )
}

function MarkdownBlock({ block }: { block: Block }) {
  switch (block.kind) {
    case 'heading':
      return <Heading level={block.level} text={block.text} />
    case 'paragraph':
      return (
        <p className="whitespace-pre-wrap">
          <Words text={block.text} />
        </p>
      )
    case 'list':
      return <List ordered={block.ordered} items={block.items} />
    case 'table':
      return <Table {...block} />
    case 'code':
      return (
        <pre className="overflow-x-auto rounded-md bg-raised p-2 font-mono text-dense whitespace-pre">
          {block.text}
        </pre>
      )
    case 'rule':
      return <hr className="border-line" />
  }
}

/** Headings of a shown text stand below those of the page. */
function Heading({ level, text }: { level: number; text: string }) {
  const Tag = level <= 1 ? 'h3' : level === 2 ? 'h4' : 'h5'
  return (
    <Tag className={cn('font-semibold', level <= 1 && 'text-section')}>
      <Words text={text} />
    </Tag>
  )
}

function List({ ordered, items }: { ordered: boolean; items: readonly string[] }) {
  const Tag = ordered ? 'ol' : 'ul'
  return (
    <Tag className={cn('grid gap-1 pl-5', ordered ? 'list-decimal' : 'list-disc')}>
      {items.map((item, index) => (
        <li key={index}>
          <Words text={item} />
        </li>
      ))}
    </Tag>
  )
}

function Table({
  head,
  aligns,
  rows,
}: {
  head: readonly string[]
  aligns: readonly Align[]
  rows: readonly string[][]
}) {
  const look = (column: number) => cn('px-2 py-0.5 first:pl-0', ALIGN[aligns[column] ?? 'start'])
  return (
    <section aria-label="Table" tabIndex={0} className="overflow-x-auto">
      <table className="border-collapse text-body tabular-nums">
        <thead>
          <tr className="border-b border-line-strong">
            {head.map((cell, column) => (
              <th key={column} scope="col" className={cn(look(column), 'font-medium')}>
                <Words text={cell} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr key={index} className="border-b border-line">
              {row.map((cell, column) => (
                <td key={column} className={look(column)}>
                  <Words text={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Words({ text }: { text: string }) {
  return parseInline(text).map((piece, index) => {
    const key = `${index}:${piece.kind}`
    if (piece.kind === 'code') {
      return (
        <code key={key} className="rounded-sm bg-raised px-1 font-mono text-dense">
          {piece.text}
        </code>
      )
    }
    if (piece.kind === 'strong')
      return (
        <strong key={key} className="font-semibold">
          {piece.text}
        </strong>
      )
    return piece.kind === 'emphasis' ? <em key={key}>{piece.text}</em> : piece.text
  })
}
