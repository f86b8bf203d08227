import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { cn } from '@/lib/cn'

export type Column<T> = {
  id: string
  header: string
  cell: (row: T) => ReactNode
  /** A CSS width; without one the column shares what is left. */
  width?: string
  align?: 'end'
  /** It holds what can be done with the row: its header is for those who cannot see that. */
  acts?: boolean
  /** Left out below 1280 px. */
  wideOnly?: boolean
}

type DataTableProps<T> = {
  label: string
  columns: ReadonlyArray<Column<T>>
  rows: readonly T[]
  keyOf: (row: T) => string
  /** Where a row leads: its first column becomes the link, and the whole row is clickable. */
  linkTo?: (row: T) => string
  linkLabel?: (row: T) => string
  /** The key of the row that is open beside the table. */
  chosen?: string | null
}

/**
 * A dense table to the edges of the page, with rows of 32 px. Where it is too narrow for columns, each row becomes
 * a small block: its first cell as the title, and below it the others behind their headers.
 */
export function DataTable<T>({ label, columns, rows, keyOf, linkTo, linkLabel, chosen }: DataTableProps<T>) {
  return (
    <div className="overflow-x-auto">
      <table
        aria-label={label}
        className="w-full table-fixed border-collapse text-left max-md:block max-md:[&>tbody]:block"
      >
        <colgroup className="max-md:hidden">
          {columns.map((column) => (
            <col key={column.id} style={{ width: column.width }} className={hidden(column)} />
          ))}
        </colgroup>
        <thead className="max-md:sr-only">
          <tr className="border-b border-line text-dense text-ink-3">
            {columns.map((column) => (
              <th key={column.id} scope="col" className={cellClass(column, 'h-7 font-normal')}>
                {column.acts ? <span className="sr-only">{column.header}</span> : column.header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={keyOf(row)}
              className={cn(
                'relative border-b border-line hover:bg-raised has-[a:focus-visible]:bg-raised',
                keyOf(row) === chosen && 'bg-raised shadow-[inset_3px_0_0_var(--ink)]',
                'max-md:flex max-md:flex-wrap max-md:items-center max-md:gap-x-4 max-md:px-4 max-md:py-1.5',
              )}
            >
              {columns.map((column, index) => (
                <td
                  key={column.id}
                  data-header={column.acts ? '' : column.header}
                  className={cellClass(column, cn('h-8 truncate', STACKED, column.acts && 'max-md:ml-auto'))}
                >
                  {index === 0 && linkTo ? (
                    <Link
                      to={linkTo(row)}
                      aria-label={linkLabel?.(row)}
                      aria-current={keyOf(row) === chosen || undefined}
                      className="after:absolute after:inset-0"
                    >
                      {column.cell(row)}
                    </Link>
                  ) : (
                    column.cell(row)
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** A cell in a row that is a block: empty ones are left out, the first one stands alone. */
const STACKED = cn(
  'max-md:h-auto max-md:max-w-full max-md:px-0! max-md:py-0.5 max-md:empty:hidden max-md:first:basis-full',
  'max-md:not-first:before:mr-1.5 max-md:not-first:before:text-ink-3 max-md:not-first:before:content-[attr(data-header)]',
)

const hidden = (column: Column<never> | { wideOnly?: boolean }): string | undefined =>
  column.wideOnly ? 'max-lg:hidden' : undefined

function cellClass(column: { align?: 'end'; wideOnly?: boolean }, className: string): string {
  return cn(
    'px-2 first:pl-4 last:pr-4',
    // Numbers end where the next column begins: more room between them.
    column.align === 'end' && 'text-right tabular-nums not-last:pr-6',
    hidden(column),
    className,
  )
}
