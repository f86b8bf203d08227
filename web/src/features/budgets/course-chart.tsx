import type { BudgetCourse } from '@/api/generated/types.gen'
import { formatAbsolute, formatMoney } from '@/lib/format'

const WIDTH = 720
const HEIGHT = 200
const LEFT = 64
const TOP = 12
const BOTTOM = 24

/** What has been spent in a period so far, where it leads on the average, and the limit. */
export function CourseChart({ course }: { course: BudgetCourse }) {
  const { window: period, points } = course
  const limit = period.limits.money_micros
  const first = period.starts_at ?? points[0]?.at
  const lastPoint = points[points.length - 1]
  if (first === undefined || lastPoint === undefined) {
    return <p className="px-4 py-3 text-ink-2">Nothing was spent in this period yet.</p>
  }
  const since = Date.parse(first)
  const until = period.ends_at ? Date.parse(period.ends_at) : Date.parse(lastPoint.at)
  const forecast = period.forecast
  const most = Math.max(lastPoint.micros, limit ?? 0, forecast?.micros ?? 0, 1) * 1.08
  const x = (at: number) => LEFT + ((at - since) / Math.max(until - since, 1)) * (WIDTH - LEFT - 8)
  const y = (micros: number) => TOP + (1 - micros / most) * (HEIGHT - TOP - BOTTOM)
  // What was spent within a part of the period was not spent before it.
  const line = [
    `M${x(since)},${y(0)}`,
    ...points.map((one) => `H${x(Date.parse(one.at))}V${y(one.micros)}`),
  ].join('')
  const area = `${line}L${x(Date.parse(lastPoint.at))},${y(0)}Z`
  const told = `${formatMoney(lastPoint.micros)} spent by ${formatAbsolute(lastPoint.at)}${
    limit === null ? '' : `, of ${formatMoney(limit)}`
  }${forecast ? `; ${formatMoney(forecast.micros)} expected at the end` : ''}`
  return (
    <figure className="px-4 py-3">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={told} className="w-full max-w-[880px]">
        <title>{told}</title>
        <path d={`M${LEFT},${y(0)}H${WIDTH - 8}`} stroke="var(--line-strong)" fill="none" />
        {limit === null ? null : (
          <>
            <path d={`M${LEFT},${y(limit)}H${WIDTH - 8}`} stroke="var(--ink)" strokeWidth="1.5" fill="none" />
            <Tick y={y(limit)} text={formatMoney(limit)} />
          </>
        )}
        <path d={area} fill="var(--ok-bar)" opacity="0.25" />
        <path d={line} stroke="var(--ok-bar)" strokeWidth="2" fill="none" strokeLinejoin="round" />
        {forecast ? (
          <>
            <path
              d={`M${x(Date.parse(lastPoint.at))},${y(lastPoint.micros)}L${x(until)},${y(forecast.micros)}`}
              stroke="var(--ink-2)"
              strokeWidth="1.5"
              strokeDasharray="4 4"
              fill="none"
            />
            {apart(forecast.micros, limit, most) ? (
              <Tick y={y(forecast.micros)} text={formatMoney(forecast.micros)} />
            ) : null}
          </>
        ) : null}
        <Tick y={y(0)} text="$0" />
        <text x={LEFT} y={HEIGHT - 6} fontSize="11" fill="var(--ink-3)">
          {formatAbsolute(first)}
        </text>
        <text x={WIDTH - 8} y={HEIGHT - 6} fontSize="11" fill="var(--ink-3)" textAnchor="end">
          {formatAbsolute(new Date(until).toISOString())}
        </text>
      </svg>
      <figcaption className="mt-1 flex flex-wrap gap-x-5 text-dense text-ink-2">
        <Key line="2" colour="var(--ok-bar)" text="Spent, in US dollars" />
        {limit === null ? null : <Key line="1.5" colour="var(--ink)" text="Limit" />}
        {forecast ? (
          <Key line="1.5" colour="var(--ink-2)" dashes text={`Expected: ${forecast.method}`} />
        ) : null}
      </figcaption>
    </figure>
  )
}

/** Whether two amounts stand far enough from each other on the axis to be read. */
const apart = (one: number, other: number | null, most: number): boolean =>
  other === null || Math.abs(one - other) / most > 0.08

function Tick({ y, text }: { y: number; text: string }) {
  return (
    <text x={LEFT - 6} y={y + 4} fontSize="11" fill="var(--ink-3)" textAnchor="end">
      {text}
    </text>
  )
}

function Key({
  line,
  colour,
  dashes,
  text,
}: {
  line: string
  colour: string
  dashes?: boolean
  text: string
}) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <svg viewBox="0 0 18 4" className="h-1 w-4.5" aria-hidden="true">
        <path d="M0 2h18" stroke={colour} strokeWidth={line} strokeDasharray={dashes ? '4 3' : undefined} />
      </svg>
      {text}
    </span>
  )
}
