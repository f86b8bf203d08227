import type { PlannedStep, StepStatus } from '@/api/generated/types.gen'
import { type Column, DataTable } from '@/components/data-table'
import { STEP_FACE } from '@/components/faces'
import { Glyph, Status } from '@/components/glyph'
import { Money } from '@/components/money'
import { formatCount, plural } from '@/lib/format'

const COLUMNS: ReadonlyArray<Column<PlannedStep>> = [
  {
    id: 'fate',
    header: 'Now',
    width: '100px',
    cell: (step) =>
      step.kept ? (
        <span className="text-ink-3">Kept</span>
      ) : (
        <b className="font-semibold text-tx-running">Runs again</b>
      ),
  },
  {
    id: 'step',
    header: 'Step',
    width: '26%',
    cell: (step) => (
      <span className="flex items-baseline gap-2">
        <span className="truncate font-medium">{step.key}</span>
        <span className="truncate font-mono text-meta text-ink-3">
          {step.name ? `${step.type} ${step.name}` : step.type}
        </span>
      </span>
    ),
  },
  {
    id: 'why',
    header: 'Why',
    cell: (step) => (
      <span title={step.explanation} className={step.kept ? 'text-ink-3' : undefined}>
        {step.explanation}
      </span>
    ),
  },
  { id: 'last', header: 'Last time', width: '116px', cell: (step) => <Last status={step.last_status} /> },
  {
    id: 'repeats',
    header: 'Repeats',
    width: '72px',
    align: 'end',
    cell: (step) =>
      step.repeats === 0 ? (
        ''
      ) : (
        <span className="inline-flex items-center gap-1.5 font-medium text-tx-waiting">
          <Glyph tone="waiting" />
          {step.repeats}
        </span>
      ),
  },
  {
    id: 'cost',
    header: 'It took then',
    width: '176px',
    align: 'end',
    wideOnly: true,
    cell: (step) => <Past step={step} />,
  },
]

function Past({ step }: { step: PlannedStep }) {
  const { calls, tokens, cost_micros } = step
  if (calls === 0) return null
  const words = [plural(calls, 'call'), tokens ? `${formatCount(tokens.input + tokens.output)} tokens` : null]
  return (
    <span className="text-ink-2">
      {words.filter(Boolean).join(', ')}
      {cost_micros === 0 ? null : (
        <>
          {', '}
          <Money micros={cost_micros} />
        </>
      )}
    </span>
  )
}

function Last({ status }: { status: StepStatus | null }) {
  return status === null ? (
    <span className="text-ink-3">New</span>
  ) : (
    <Status face={STEP_FACE[status]} className="font-normal" />
  )
}

/** Every step of the new run: kept or done again, why, and what it cost last time. */
export function PlanTable({ steps }: { steps: readonly PlannedStep[] }) {
  return <DataTable label="Plan" columns={COLUMNS} rows={steps} keyOf={(step) => step.key} />
}
