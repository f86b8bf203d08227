type Row = Record<string, string | number | boolean | null>

/** So many rows are laid out at once; the exact text has them all. */
const SHOWN = 200

const isScalar = (value: unknown): boolean => value === null || typeof value !== 'object'

const isRow = (value: unknown): value is Row =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every(isScalar)

/** The rows of a list that reads best as a table: objects of plain values. */
export function asRows(value: unknown): Row[] | null {
  return Array.isArray(value) && value.length > 0 && value.every(isRow) ? value : null
}

/** A list of flat objects, one a line. */
export function ValueRows({ label, rows }: { label: string; rows: readonly Row[] }) {
  const names = [...new Set(rows.slice(0, SHOWN).flatMap((row) => Object.keys(row)))]
  return (
    <section aria-label={label} tabIndex={0} className="max-h-[40vh] overflow-auto">
      <table className="border-collapse text-dense tabular-nums">
        <thead>
          <tr className="text-left text-ink-2">
            {names.map((name) => (
              <th key={name} scope="col" className="border-b border-line px-2 py-0.5 font-normal first:pl-0">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, SHOWN).map((row, index) => (
            <tr key={`${index} ${names.length}`}>
              {names.map((name) => (
                <td key={name} className="border-b border-line px-2 py-0.5 whitespace-pre-wrap first:pl-0">
                  {name in row ? String(row[name]) : ''}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > SHOWN ? (
        <p className="py-1 text-dense text-ink-3">
          The first {SHOWN} of {rows.length.toLocaleString('en-US')} rows; the exact text has them all.
        </p>
      ) : null}
    </section>
  )
}
