import { X } from 'lucide-react'
import type { RunStatus } from '@/api/generated/types.gen'
import { RUN_FACE } from '@/components/faces'
import { Glyph } from '@/components/glyph'
import { Button } from '@/components/ui/button'
import { Input, Select } from '@/components/ui/input'
import { cn } from '@/lib/cn'
import type { RunFilters } from './api'
import { isFiltered } from './filters'

/** The states people look for; any other may still stand in the address. */
const OFFERED: readonly RunStatus[] = [
  'running',
  'queued',
  'paused',
  'attention',
  'succeeded',
  'failed',
  'cancelled',
]
const NONE: RunFilters = { status: [], workflow: '', q: '' }

type RunsToolbarProps = {
  filters: RunFilters
  workflows: readonly string[]
  onChange: (filters: RunFilters) => void
}

export function RunsToolbar({ filters, workflows, onChange }: RunsToolbarProps) {
  const offered = [...OFFERED, ...filters.status.filter((one) => !OFFERED.includes(one))]
  const toggle = (status: RunStatus) => {
    const on = filters.status.includes(status)
    onChange({
      ...filters,
      status: on ? filters.status.filter((one) => one !== status) : [...filters.status, status],
    })
  }
  const names =
    filters.workflow === '' || workflows.includes(filters.workflow)
      ? workflows
      : [filters.workflow, ...workflows]
  return (
    <div
      role="search"
      aria-label="Filter runs"
      className="flex flex-wrap items-center gap-2 border-b border-line px-4 py-1"
    >
      <Input
        type="search"
        aria-label="Search runs"
        placeholder="Id or name"
        maxLength={100}
        className="w-44 text-body"
        value={filters.q}
        onChange={(event) => onChange({ ...filters, q: event.target.value })}
      />
      <Select
        aria-label="Workflow"
        className="w-48 text-body"
        value={filters.workflow}
        onChange={(event) => onChange({ ...filters, workflow: event.target.value })}
      >
        <option value="">All workflows</option>
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </Select>
      <div role="group" aria-label="Status" className="flex flex-wrap gap-1">
        {offered.map((status) => (
          <Button
            key={status}
            variant="ghost"
            size="sm"
            aria-pressed={filters.status.includes(status)}
            className={cn(filters.status.includes(status) && 'border-ink bg-raised text-ink')}
            onClick={() => toggle(status)}
          >
            <Glyph tone={RUN_FACE[status].tone} />
            {RUN_FACE[status].label}
          </Button>
        ))}
      </div>
      {isFiltered(filters) ? (
        <Button variant="ghost" size="sm" onClick={() => onChange(NONE)}>
          <X aria-hidden />
          Clear filters
        </Button>
      ) : null}
    </div>
  )
}
