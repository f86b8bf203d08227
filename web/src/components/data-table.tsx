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
}

/** A dense table to the edges of the page, with rows of 32 px. */
export function DataTable<T>({ label, columns, rows, keyOf, linkTo, linkLabel }: DataTableProps<T>) {
  return (
    <div className="overflow-x-auto">
      <table aria-label={label} className="w-full table-fixed border-collapse text-left">
        <colgroup>
          {columns.map((column) => (
            <col key={column.id} style={{ width: column.width }} className={hidden(column)} />
          ))}
        </colgroup>
        <thead>
          <tr className="border-b border-line text-dense text-ink-3">
            {columns.map((column) => (
              <th key={column.id} scope="col" className={cellClass(column, 'h-7 font-normal')}>
                {column.header}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr
              key={keyOf(row)}
              className="relative border-b border-line hover:bg-raised has-[a:focus-visible]:bg-raised"
            >
              {columns.map((column, index) => (
                <td key={column.id} className={cellClass(column, 'h-8 truncate')}>
                  {index === 0 && linkTo ? (
                    <Link
                      to={linkTo(row)}
                      aria-label={linkLabel?.(row)}
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

const hidden = (column: Column<never> | { wideOnly?: boolean }): string | undefined =>
  column.wideOnly ? 'max-lg:hidden' : undefined

function cellClass(column: { align?: 'end'; wideOnly?: boolean }, className: string): string {
  return cn(
    'px-2 first:pl-4 last:pr-4',
    column.align === 'end' && 'text-right tabular-nums',
    hidden(column),
    className,
  )
}
