import type { CaseReport } from '@/api/generated/types.gen'
import { Glyph } from '@/components/glyph'
import { cn } from '@/lib/cn'
import { plural } from '@/lib/format'
import { OUTCOME_FACE } from './words'

type TestsPanelProps = {
  /** null: the text has mistakes, so nothing was run. */
  report: CaseReport | null
  /** Whether it belongs to the text as it stands. */
  current: boolean
}

/** What the tests of a policy say, and which rules they reach. */
export function TestsPanel({ report, current }: TestsPanelProps) {
  return (
    <section
      aria-label="Tests"
      aria-busy={!current}
      className={cn(
        'w-[340px] shrink-0 overflow-y-auto border-l border-line bg-surface max-lg:hidden',
        !current && 'text-ink-3',
      )}
    >
      <h2 className="sticky top-0 flex h-8 items-center gap-2 border-b border-line bg-surface px-4 text-dense font-medium">
        <Summary report={report} />
      </h2>
      {report ? <Report report={report} /> : null}
    </section>
  )
}

function Summary({ report }: { report: CaseReport | null }) {
  if (!report) return <span className="text-ink-3">Tests run once the text has no mistakes</span>
  if (report.failed > 0) {
    return (
      <>
        <Glyph tone="failed" />
        {report.failed} of {plural(report.failed + report.passed, 'test')} fail
      </>
    )
  }
  if (report.passed === 0) return <span className="text-ink-3">No tests yet</span>
  return (
    <>
      <Glyph tone="succeeded" />
      {plural(report.passed, 'test')} passed
    </>
  )
}

function Report({ report }: { report: CaseReport }) {
  const unreached = report.coverage.filter((one) => one.tests.length === 0)
  return (
    <>
      <ul aria-label="Results">
        {report.results.map((one) => (
          <li
            key={one.name}
            className="grid grid-cols-[14px_minmax(0,1fr)] gap-x-2 border-b border-line px-4 py-1.5"
          >
            <Glyph
              tone={one.problem === null ? 'succeeded' : 'failed'}
              label={one.problem === null ? 'Passed' : 'Failed'}
              className="mt-[3px]"
            />
            <span>
              {one.name}
              <span className="block text-dense text-ink-3">
                {one.problem ??
                  `${OUTCOME_FACE[one.outcome].label}${one.rule === null ? ' by default' : ` by ${one.rule}`}`}
              </span>
            </span>
          </li>
        ))}
      </ul>
      {report.coverage.length > 0 ? (
        <div className="px-4 py-2">
          <h3 className="text-dense font-medium">
            {report.coverage.length - unreached.length} of {plural(report.coverage.length, 'rule')} reached by
            tests
          </h3>
          {unreached.length > 0 ? (
            <p className="text-dense text-ink-2">
              Not reached: {unreached.map((one) => one.rule).join(', ')}
            </p>
          ) : null}
        </div>
      ) : null}
    </>
  )
}
