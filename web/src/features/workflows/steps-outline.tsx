import type { StepOutline } from '@/api/generated/types.gen'

/** The steps of a workflow in their order, each with what it uses and what it waits for. */
export function StepsOutline({ steps }: { steps: readonly StepOutline[] }) {
  return (
    <ol aria-label="Steps" className="min-w-0">
      {steps.map((step) => (
        <li key={step.id} className="border-b border-line px-4 py-1.5">
          <div className="flex items-baseline justify-between gap-2">
            <span className="truncate font-medium">{step.id}</span>
            <span className="text-dense text-ink-3">{step.type}</span>
          </div>
          {step.name ? <div className="truncate font-mono text-dense text-ink-2">{step.name}</div> : null}
          <div className="text-dense text-ink-3">
            {step.needs.length === 0 ? 'Starts at once' : `After ${step.needs.join(', ')}`}
          </div>
        </li>
      ))}
    </ol>
  )
}
