import { useQuery } from '@tanstack/react-query'
import { X } from 'lucide-react'
import { useEffect, useId, useRef } from 'react'
import { Glyph } from '@/components/glyph'
import { FilterBar } from '@/components/inspector'
import { Button } from '@/components/ui/button'
import { Input, Select } from '@/components/ui/input'
import { cn } from '@/lib/cn'
import { shortId } from '@/lib/format'
import { SPANS } from '@/lib/span'
import type { AddressChanges } from '@/lib/use-address'
import { policiesQuery } from './api'
import { BETWEEN, instantOf, isFiltered, localText, NO_FILTERS, noRun, timeOf } from './decision-filters'
import type { DecisionFilters, DecisionScope } from './decisions-api'
import { OUTCOME_FACE, OUTCOMES, SUBJECTS } from './words'

type ToolbarProps = {
  scope: DecisionScope
  search: URLSearchParams
  filters: DecisionFilters
  onPut: (changes: AddressChanges) => void
}

/** What decisions are filtered by, but for what the list is about anyhow. */
export function DecisionsToolbar({ scope, search, filters, onPut }: ToolbarProps) {
  const time = timeOf(search)
  return (
    <FilterBar label="Filter decisions">
      <div role="group" aria-label="Outcome" className="flex flex-wrap gap-1">
        {OUTCOMES.map((one) => {
          const on = filters.outcome.includes(one)
          const others = filters.outcome.filter((other) => other !== one)
          return (
            <Toggle key={one} on={on} onToggle={() => onPut({ outcome: on ? others : [...others, one] })}>
              <Glyph tone={OUTCOME_FACE[one].tone} />
              {OUTCOME_FACE[one].label}
            </Toggle>
          )
        })}
        <Toggle on={filters.monitored} onToggle={() => onPut({ monitored: filters.monitored ? '' : 'true' })}>
          Monitored
        </Toggle>
      </div>
      <Choice
        label="Subject"
        all="All subjects"
        value={filters.subject ?? ''}
        options={SUBJECTS.map((one) => [one, one])}
        onChoose={(subject) => onPut({ subject })}
      />
      {scope.policy === undefined ? (
        <PolicyChoice
          project={scope.project}
          value={filters.policy}
          onChoose={(policy) => onPut({ policy })}
        />
      ) : null}
      <Exact label="Rule" maxLength={100} value={filters.rule} onWrite={(rule) => onPut({ rule })} />
      <Exact
        label="Tool or model"
        maxLength={200}
        width="long"
        value={filters.name}
        onWrite={(name) => onPut({ name })}
      />
      {scope.run === undefined ? (
        <Exact
          label="Run id"
          maxLength={36}
          value={filters.run}
          invalid={noRun(filters, scope)}
          onWrite={(run) => onPut({ run })}
        />
      ) : null}
      <Choice
        label="Time"
        all="All time"
        value={time}
        options={[...Object.entries(SPANS), [BETWEEN, 'Between …']]}
        onChoose={(span) => onPut({ span, since: '', until: '' })}
      />
      {time === BETWEEN ? (
        <>
          <Instant label="From" value={filters.since} onSet={(since) => onPut({ since })} />
          <Instant label="Until" value={filters.until} onSet={(until) => onPut({ until })} />
        </>
      ) : null}
      {isFiltered(search, scope) ? (
        <Button variant="ghost" size="sm" onClick={() => onPut(NO_FILTERS)}>
          <X aria-hidden />
          Clear filters
        </Button>
      ) : null}
    </FilterBar>
  )
}

function Toggle({
  on,
  onToggle,
  children,
}: {
  on: boolean
  onToggle: () => void
  children: React.ReactNode
}) {
  return (
    <Button
      variant="ghost"
      size="sm"
      aria-pressed={on}
      className={cn(on && 'border-ink bg-raised text-ink')}
      onClick={onToggle}
    >
      {children}
    </Button>
  )
}

type ChoiceProps = {
  label: string
  all: string
  value: string
  options: ReadonlyArray<readonly [value: string, label: string]>
  onChoose: (value: string) => void
}

function Choice({ label, all, value, options, onChoose }: ChoiceProps) {
  return (
    <Select
      aria-label={label}
      className="w-31 text-body"
      value={value}
      onChange={(event) => onChoose(event.target.value)}
    >
      <option value="">{all}</option>
      {options.map(([key, words]) => (
        <option key={key} value={key}>
          {words}
        </option>
      ))}
    </Select>
  )
}

type PolicyChoiceProps = { project: string; value: string; onChoose: (id: string) => void }

/** The policies that judge in the project; one that is in the address alone is called by its id. */
function PolicyChoice({ project, value, onChoose }: PolicyChoiceProps) {
  const found = useQuery(policiesQuery(project))
  const known = (found.data?.items ?? []).map((one) => [one.id, one.name] as const)
  const unknown = value !== '' && known.every(([id]) => id !== value)
  return (
    <Choice
      label="Policy"
      all="All policies"
      value={value}
      options={unknown ? [...known, [value, shortId(value)]] : known}
      onChoose={onChoose}
    />
  )
}

/** A field that somebody writes in without being disturbed, and that follows the value when it is changed elsewhere. */
function useWritten(value: string) {
  const field = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (field.current && field.current.value !== value) field.current.value = value
  }, [value])
  return field
}

/** So that a desk has room for all filters in one line, and the rows do not move when one is set. */
const WIDTHS = { short: 'w-23', long: 'w-28' } as const

type ExactProps = {
  label: string
  maxLength: number
  value: string
  invalid?: boolean
  width?: keyof typeof WIDTHS
  onWrite: (value: string) => void
}

/** A filter that knows whole names only: it counts when it is written, by Enter or by leaving the field. */
function Exact({ label, maxLength, value, invalid = false, width = 'short', onWrite }: ExactProps) {
  const field = useWritten(value)
  const write = (text: string) => {
    if (text.trim() !== value) onWrite(text.trim())
  }
  return (
    <Input
      ref={field}
      type="search"
      aria-label={label}
      aria-invalid={invalid || undefined}
      placeholder={label}
      maxLength={maxLength}
      className={cn(WIDTHS[width], 'text-body')}
      defaultValue={value}
      onChange={(event) => event.target.value === '' && write('')}
      onBlur={(event) => write(event.target.value)}
      onKeyDown={(event) => event.key === 'Enter' && write(event.currentTarget.value)}
    />
  )
}

type InstantProps = { label: string; value: string; onSet: (instant: string) => void }

/** A moment in the viewer's time zone. While its year is being written it is none yet, and nothing changes. */
function Instant({ label, value, onSet }: InstantProps) {
  const id = useId()
  const field = useWritten(localText(value))
  return (
    <div className="flex items-center gap-1.5 max-md:w-full">
      <label htmlFor={id} className="text-ink-3 max-md:w-10">
        {label}
      </label>
      <Input
        id={id}
        ref={field}
        type="datetime-local"
        className="w-auto text-body max-md:flex-1"
        defaultValue={localText(value)}
        onChange={(event) => {
          const instant = instantOf(event.target.value)
          if (instant !== '' || event.target.value === '') onSet(instant)
        }}
      />
    </div>
  )
}
