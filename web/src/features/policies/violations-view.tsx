import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { Violation, ViolationDetail, ViolationStatus } from '@/api/generated/types.gen'
import { Glyph, Status } from '@/components/glyph'
import { FilterBar } from '@/components/inspector'
import { Moment } from '@/components/moment'
import { ProblemLine, ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Select, Textarea } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { cn } from '@/lib/cn'
import { paths } from '@/lib/paths'
import { useAnswerViolation, type ViolationFilters, violationQuery, violationsQuery } from './decisions-api'
import { decidedBy, SEVERITIES, VIOLATION_FACE } from './words'

/** Always: a run that is refused, and one that becomes overdue, change nothing of a run that would be pushed. */
const POLL_MS = 10_000
const STATUSES: readonly ViolationStatus[] = ['open', 'acknowledged', 'resolved']
const isStatus = (text: string): text is ViolationStatus => text in VIOLATION_FACE

/** What was broken, or would have been: the list on the left, the chosen one on the right, both in the address. */
export function ViolationsView({ project }: { project: string }) {
  const [search, setSearch] = useSearchParams()
  const filters = readFilters(search)
  const found = useInfiniteQuery({ ...violationsQuery(project, filters), refetchInterval: POLL_MS })
  const rows = found.data?.pages.flatMap((page) => page.items) ?? []
  const chosen = search.get('violation') ?? rows[0]?.id
  const set = (key: 'status' | 'severity' | 'overdue', values: readonly string[]) =>
    setSearch(
      (past) => {
        past.delete(key)
        past.delete('violation')
        for (const value of values.length > 0 ? values : key === 'status' ? ['any'] : [])
          past.append(key, value)
        return past
      },
      { replace: true },
    )
  return (
    <>
      <Toolbar filters={filters} onSet={set} />
      {found.isError && !found.data ? (
        <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
      ) : null}
      {found.isPending ? <SkeletonRows rows={8} height={56} /> : null}
      {found.data && rows.length === 0 ? (
        <Empty title={filters.status.length > 0 ? 'No such violations' : 'No violations'}>
          A violation is what a rule denied, or would have denied while it only monitors. Somebody looks at
          it, notes what it was, and resolves it.
        </Empty>
      ) : null}
      {rows.length > 0 ? (
        <div className="flex min-h-0 flex-1 max-md:flex-col">
          <div className="w-[360px] shrink-0 overflow-y-auto border-r border-line max-md:max-h-[40vh] max-md:w-full">
            <ul aria-label="Violations">
              {rows.map((one) => (
                <li key={one.id} className="border-b border-line">
                  <Item violation={one} search={search} selected={one.id === chosen} />
                </li>
              ))}
            </ul>
            {found.hasNextPage ? (
              <Button className="m-3" onClick={() => void found.fetchNextPage()}>
                Load more
              </Button>
            ) : null}
          </div>
          {chosen ? <Chosen key={chosen} project={project} id={chosen} /> : null}
        </div>
      ) : null}
    </>
  )
}

/** The filters in the address; without any the open ones. */
function readFilters(search: URLSearchParams): ViolationFilters {
  const given = search.getAll('status')
  return {
    status: given.length === 0 ? ['open', 'acknowledged'] : given.filter(isStatus),
    severity: SEVERITIES.filter((one) => search.getAll('severity').includes(one)),
    overdue: search.has('overdue'),
  }
}

type ToolbarProps = {
  filters: ViolationFilters
  onSet: (key: 'status' | 'severity' | 'overdue', values: readonly string[]) => void
}

function Toolbar({ filters, onSet }: ToolbarProps) {
  const toggle = (status: ViolationStatus) =>
    onSet(
      'status',
      filters.status.includes(status)
        ? filters.status.filter((one) => one !== status)
        : [...filters.status, status],
    )
  return (
    <FilterBar label="Filter violations">
      <div role="group" aria-label="Status" className="flex gap-1">
        {STATUSES.map((one) => (
          <Button
            key={one}
            variant="ghost"
            size="sm"
            aria-pressed={filters.status.includes(one)}
            className={cn(filters.status.includes(one) && 'border-ink bg-raised text-ink')}
            onClick={() => toggle(one)}
          >
            <Glyph tone={VIOLATION_FACE[one].tone} />
            {VIOLATION_FACE[one].label}
          </Button>
        ))}
      </div>
      <Button
        variant="ghost"
        size="sm"
        aria-pressed={filters.overdue === true}
        className={cn(filters.overdue && 'border-ink bg-raised text-ink')}
        onClick={() => onSet('overdue', filters.overdue ? [] : ['yes'])}
      >
        Overdue
      </Button>
      <Select
        aria-label="Severity"
        className="w-36 text-body"
        value={filters.severity[0] ?? ''}
        onChange={(event) => onSet('severity', event.target.value === '' ? [] : [event.target.value])}
      >
        <option value="">All severities</option>
        {SEVERITIES.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </Select>
    </FilterBar>
  )
}

/** Whether it has been open for longer than its severity allows, and still is. */
const isOverdue = (violation: Violation): boolean =>
  violation.status === 'open' && violation.overdue_at !== null

type ItemProps = { violation: Violation; search: URLSearchParams; selected: boolean }

function Item({ violation, search, selected }: ItemProps) {
  const to = new URLSearchParams(search)
  to.set('violation', violation.id)
  const face = VIOLATION_FACE[violation.status]
  return (
    <Link
      to={`?${to}`}
      replace
      aria-current={selected ? 'true' : undefined}
      className={cn(
        'grid grid-cols-[14px_minmax(0,1fr)_auto] gap-x-2.5 border-l-2 border-transparent px-3.5 py-2 hover:bg-raised',
        'focus-visible:outline-offset-[-2px] aria-[current]:border-l-ink aria-[current]:bg-raised',
      )}
    >
      <Glyph tone={face.tone} label={face.label} className="mt-[3px]" />
      <span className="grid min-w-0">
        <span className="truncate font-medium">{violation.rule ?? 'No rule allows this'}</span>
        <span className="truncate text-dense text-ink-2">
          {violation.name ?? violation.subject}
          {violation.step_key ? `, step ${violation.step_key}` : ''}
        </span>
        <span className="text-dense text-ink-3">
          <Moment at={violation.at} />
          {violation.monitored ? ', monitored' : ''}
          {isOverdue(violation) ? <span className="text-tx-failed">, overdue</span> : null}
        </span>
      </span>
      <span className="text-dense text-ink-2">{violation.severity}</span>
    </Link>
  )
}

function Chosen({ project, id }: { project: string; id: string }) {
  const found = useQuery(violationQuery(id))
  if (found.isError && !found.data) {
    return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  }
  if (!found.data) return <SkeletonRows rows={6} />
  return <Detail project={project} violation={found.data} />
}

const NO_RULE = 'No rule allows this, and the project denies by default.'

function Detail({ project, violation }: { project: string; violation: ViolationDetail }) {
  return (
    <article aria-label={violation.rule ?? 'Violation'} className="min-w-0 flex-1 overflow-y-auto">
      <header className="border-b border-line px-4 py-3">
        <Status face={VIOLATION_FACE[violation.status]} />
        {isOverdue(violation) && violation.overdue_at ? (
          <span className="ml-3 text-dense text-tx-failed">
            overdue since <Moment at={violation.overdue_at} />
          </span>
        ) : null}
        <h2 className="text-section font-semibold">
          {violation.name ?? violation.subject}{' '}
          {violation.monitored ? 'would have been denied' : 'was denied'}
        </h2>
        <p className="max-w-3xl text-ink-2">
          {violation.reason ?? (violation.rule === null ? NO_RULE : 'The rule gives no reason.')}
          {violation.monitored ? ' The rule only monitors, so it went ahead.' : ''}
        </p>
      </header>
      <dl className="grid max-w-3xl grid-cols-[112px_minmax(0,1fr)] gap-x-3 gap-y-1 px-4 pt-3">
        <Fact name="Rule">
          {violation.policy ? (
            <Link className="underline" to={paths.policy(project, violation.policy.id)}>
              {decidedBy(violation)}
            </Link>
          ) : (
            decidedBy(violation)
          )}
        </Fact>
        <Fact name="Severity">{violation.severity}</Fact>
        <Fact name="When">
          <Moment at={violation.at} exact />
        </Fact>
        {violation.step_key ? <Fact name="Step">{violation.step_key}</Fact> : null}
        <Fact name="Decision">
          <Link className="underline" to={paths.decision(project, violation.decision_id)}>
            See the decision and its facts
          </Link>
        </Fact>
        {violation.changed_by && violation.changed_at ? (
          <Fact name={VIOLATION_FACE[violation.status].label}>
            by {violation.changed_by.name}, <Moment at={violation.changed_at} />
          </Fact>
        ) : null}
      </dl>
      <Notes violation={violation} />
      <AnswerForm key={violation.notes.length} project={project} violation={violation} />
    </article>
  )
}

function Notes({ violation }: { violation: ViolationDetail }) {
  if (violation.notes.length === 0) return null
  return (
    <ol aria-label="Notes" className="max-w-3xl px-4 py-3">
      {violation.notes.map((note) => (
        <li key={note.id} className="border-l border-line py-1 pl-3">
          <p className="text-dense text-ink-3">
            {note.author?.name ?? 'Somebody'}
            {note.status ? `: ${VIOLATION_FACE[note.status].label.toLowerCase()}` : ''},{' '}
            <Moment at={note.at} />
          </p>
          {note.text ? <p className="whitespace-pre-wrap">{note.text}</p> : null}
        </li>
      ))}
    </ol>
  )
}

/** What may be done next, the most likely first. */
const NEXT = {
  open: ['acknowledged', 'resolved'],
  acknowledged: ['resolved', 'open'],
  resolved: ['open'],
} satisfies Record<ViolationStatus, readonly ViolationStatus[]>
const VERB = { open: 'Reopen', acknowledged: 'Acknowledge', resolved: 'Resolve' } satisfies Record<
  ViolationStatus,
  string
>

function AnswerForm({ project, violation }: { project: string; violation: ViolationDetail }) {
  const [text, setText] = useState('')
  const answer = useAnswerViolation(project, violation.id)
  const said = text.trim() === '' ? null : text.trim()
  const send = (status: ViolationStatus | null) =>
    answer.mutate(
      { text: said, status },
      { onSuccess: () => toast(status ? VIOLATION_FACE[status].label : 'Note added') },
    )
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (said !== null) send(null)
  }
  return (
    <form aria-label="Answer" onSubmit={submit} noValidate className="grid max-w-3xl gap-2 px-4 py-3">
      <Field label="Note" hint="What happened, and what was done about it.">
        {(wiring) => (
          <Textarea
            {...wiring}
            rows={3}
            maxLength={2000}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </Field>
      <ProblemLine error={answer.error} />
      <div className="flex gap-2">
        {NEXT[violation.status].map((status, index) => (
          <Button
            key={status}
            variant={index === 0 ? 'primary' : 'secondary'}
            disabled={answer.isPending}
            onClick={() => send(status)}
          >
            {VERB[status]}
          </Button>
        ))}
        <Button type="submit" variant="ghost" disabled={answer.isPending || said === null}>
          Add note
        </Button>
      </div>
    </form>
  )
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{name}</dt>
      <dd className="min-w-0 break-words">{children}</dd>
    </>
  )
}
