import { useQuery } from '@tanstack/react-query'
import { History } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { Link, useSearchParams } from 'react-router'
import type { BacktestSummary, NewBacktest, PolicyDetail, Subject } from '@/api/generated/types.gen'
import { useSession } from '@/api/use-session'
import { Glyph } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { ProblemLine, ProblemPanel } from '@/components/problem-panel'
import { Empty, SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Select } from '@/components/ui/input'
import { cn } from '@/lib/cn'
import { readDraft } from '@/lib/kept-draft'
import { BacktestResult } from './backtest-result'
import { backtestQuery, backtestsQuery, daysAgo, useStartBacktest } from './backtests-api'
import { draftKey } from './policy-editor'
import { BACKTEST_FACE, SUBJECTS } from './words'

const WINDOWS = [1, 7, 30, 90] as const

/** Ask what a draft would have said, and look at what it came to. The chosen backtest is in the address. */
export function BacktestView({ project, policy }: { project: string; policy: PolicyDetail }) {
  const [search, setSearch] = useSearchParams()
  const list = useQuery(backtestsQuery(project, policy.id))
  const chosen = search.get('backtest') ?? list.data?.items[0]?.id
  const show = (id: string) => setSearch({ backtest: id }, { replace: true })
  return (
    <>
      <StartForm key={policy.latest_version} project={project} policy={policy} onStarted={show} />
      {list.isError && !list.data ? <ProblemPanel error={list.error} /> : null}
      {list.data ? null : <SkeletonRows rows={6} />}
      {list.data && list.data.items.length === 0 && !chosen ? (
        <Empty title="No backtest yet">
          A backtest applies a draft to decisions of the past: which would have been denied, held or allowed,
          by which rule, and what that would have meant in approvals and money. Nothing else happens.
        </Empty>
      ) : null}
      {chosen ? (
        <div className="flex min-h-0 flex-1">
          <ul
            aria-label="Backtests"
            className="w-[220px] shrink-0 overflow-y-auto border-r border-line max-md:hidden"
          >
            {(list.data?.items ?? []).map((one) => (
              <li key={one.id} className="border-b border-line">
                <Item backtest={one} selected={one.id === chosen} />
              </li>
            ))}
          </ul>
          <Chosen key={chosen} project={project} id={chosen} />
        </div>
      ) : null}
    </>
  )
}

function Item({ backtest, selected }: { backtest: BacktestSummary; selected: boolean }) {
  const face = BACKTEST_FACE[backtest.status]
  const flips =
    (backtest.counts.newly_denied ?? 0) +
    (backtest.counts.newly_held ?? 0) +
    (backtest.counts.newly_allowed ?? 0)
  return (
    <Link
      to={`?backtest=${backtest.id}`}
      replace
      aria-current={selected ? 'true' : undefined}
      className={cn(
        'grid grid-cols-[14px_minmax(0,1fr)] gap-x-2 border-l-2 border-transparent px-3.5 py-2 hover:bg-raised',
        'focus-visible:outline-offset-[-2px] aria-[current]:border-l-ink aria-[current]:bg-raised',
      )}
    >
      <Glyph tone={face.tone} label={face.label} className="mt-[3px]" />
      <span>
        <Moment at={backtest.created_at} />
        <span className="block text-dense text-ink-3">
          {flips.toLocaleString('en-US')} of {backtest.judged.toLocaleString('en-US')} change
          {backtest.project === null ? ', in all projects' : ''}
        </span>
      </span>
    </Link>
  )
}

function Chosen({ project, id }: { project: string; id: string }) {
  const found = useQuery(backtestQuery(id))
  if (found.isError && !found.data) {
    return <ProblemPanel error={found.error} onRetry={() => void found.refetch()} />
  }
  if (!found.data) return <SkeletonRows rows={8} />
  return <BacktestResult project={project} backtest={found.data} />
}

/** Of a policy of the installation its administrators look at all projects, unless they say otherwise. */
function useMayLookEverywhere(policy: PolicyDetail): boolean {
  const session = useSession()
  return policy.project === null && session.phase === 'in' && session.user.is_admin
}

type StartFormProps = { project: string; policy: PolicyDetail; onStarted: (id: string) => void }

function StartForm({ project, policy, onStarted }: StartFormProps) {
  const [search] = useSearchParams()
  const kept = readDraft(draftKey(policy.id))
  const [what, setWhat] = useState(kept && search.has('draft') ? 'draft' : String(policy.latest_version))
  const [days, setDays] = useState<number>(7)
  const [subject, setSubject] = useState<Subject | ''>('')
  const mayEverywhere = useMayLookEverywhere(policy)
  const [everywhere, setEverywhere] = useState(mayEverywhere)
  const start = useStartBacktest(project)
  const versions = [...new Set([policy.latest_version, policy.active_version ?? policy.latest_version])]
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const draft: Pick<NewBacktest, 'source' | 'version'> =
      what === 'draft' && kept ? { source: kept.text } : { version: Number(what) }
    start.mutate(
      {
        policy_id: policy.id,
        ...draft,
        since: daysAgo(days),
        subjects: subject === '' ? null : [subject],
        everywhere: mayEverywhere && everywhere,
      },
      { onSuccess: (started) => onStarted(started.id) },
    )
  }
  return (
    <form
      aria-label="New backtest"
      onSubmit={submit}
      className="flex flex-wrap items-center gap-2 border-b border-line bg-bg px-4 py-1.5"
    >
      <Select
        aria-label="Draft"
        className="w-56 text-body"
        value={what}
        onChange={(event) => setWhat(event.target.value)}
      >
        {kept ? <option value="draft">The draft in this browser</option> : null}
        {versions.map((version) => (
          <option key={version} value={version}>
            Version {version}
            {version === policy.active_version ? ', in force' : ', the latest'}
          </option>
        ))}
      </Select>
      <Select
        aria-label="Window"
        className="w-36 text-body"
        value={days}
        onChange={(event) => setDays(Number(event.target.value))}
      >
        {WINDOWS.map((one) => (
          <option key={one} value={one}>
            {one === 1 ? 'The last day' : `The last ${one} days`}
          </option>
        ))}
      </Select>
      <Select
        aria-label="Subject"
        className="w-36 text-body"
        value={subject}
        onChange={(event) => setSubject(event.target.value as Subject | '')}
      >
        <option value="">All subjects</option>
        {SUBJECTS.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </Select>
      {mayEverywhere ? (
        <Select
          aria-label="Where"
          className="w-40 text-body"
          value={everywhere ? 'everywhere' : 'here'}
          onChange={(event) => setEverywhere(event.target.value === 'everywhere')}
        >
          <option value="everywhere">all projects</option>
          <option value="here">{project}</option>
        </Select>
      ) : null}
      <Button type="submit" disabled={start.isPending}>
        <History aria-hidden />
        {start.isPending ? 'Starting' : 'Run backtest'}
      </Button>
      <p className="text-dense text-ink-3">It looks back only: nothing is sent, held or stopped.</p>
      <ProblemLine error={start.error} />
    </form>
  )
}
