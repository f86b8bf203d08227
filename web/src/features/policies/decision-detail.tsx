import { useQuery } from '@tanstack/react-query'
import { FlaskConical, X } from 'lucide-react'
import type { ReactNode } from 'react'
import { Link, useNavigate } from 'react-router'
import type { DecisionDetail as Decision } from '@/api/generated/types.gen'
import { CopyButton } from '@/components/copy-button'
import { Status } from '@/components/glyph'
import { ValuesRun } from '@/components/large'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button, buttonClass } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { ValueTree } from '@/components/value-tree'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { addCase } from './add-case'
import { policyQuery } from './api'
import { type DecisionScope, decisionQuery, todayQuery } from './decisions-api'
import { decidedBy, OUTCOME_FACE } from './words'

type DecisionDetailProps = { id: string; scope: DecisionScope; onClose: () => void }

/** One decision: who decided, on which facts, and the way to make a test of it. */
export function DecisionDetail({ id, scope, onClose }: DecisionDetailProps) {
  const found = useQuery(decisionQuery(id))
  return (
    <aside
      aria-label="Decision"
      className="flex w-[400px] shrink-0 flex-col overflow-y-auto border-l border-line bg-surface max-lg:absolute max-lg:inset-y-0 max-lg:right-0 max-lg:shadow-overlay"
    >
      <div className="flex h-9 shrink-0 items-center justify-between border-b border-line pr-1 pl-4">
        <h2 className="font-medium">Decision</h2>
        <Button variant="ghost" size="icon" aria-label="Close" onClick={onClose}>
          <X aria-hidden />
        </Button>
      </div>
      {found.isError ? <ProblemPanel error={found.error} /> : null}
      {found.isPending ? <SkeletonRows rows={8} /> : null}
      {found.data ? (
        <ValuesRun.Provider value={found.data.run_id}>
          <Detail decision={found.data} scope={scope} />
        </ValuesRun.Provider>
      ) : null}
    </aside>
  )
}

function Detail({ decision, scope }: { decision: Decision; scope: DecisionScope }) {
  return (
    <div className="grid gap-3 px-4 py-3">
      <div>
        <Status face={OUTCOME_FACE[decision.outcome]} />
        <p className="text-section font-semibold">
          {decision.name ?? decision.subject}{' '}
          <span className="font-mono text-dense font-normal text-ink-3">{decision.subject}</span>
        </p>
        {decision.reason ? <p className="text-ink-2">{decision.reason}</p> : null}
      </div>
      <dl className="grid grid-cols-[96px_minmax(0,1fr)] gap-x-3 gap-y-1 text-dense">
        <Fact name="Decided by">
          {decision.policy ? (
            <Link className="underline" to={paths.policy(scope.project, decision.policy.id)}>
              {decidedBy(decision)}
            </Link>
          ) : (
            decidedBy(decision)
          )}
        </Fact>
        {decision.severity ? <Fact name="Severity">{decision.severity}</Fact> : null}
        <Fact name="When">
          <Moment at={decision.at} exact />
          {decision.duration_us === null ? '' : `, in ${decision.duration_us.toLocaleString('en-US')} µs`}
        </Fact>
        <Fact name="Run">
          <Link
            className="underline"
            to={`${paths.run(scope.project, decision.run_id)}${decision.step_id ? `?step=${decision.step_id}` : ''}`}
          >
            {shortId(decision.run_id)}
            {decision.step_key ? `, step ${decision.step_key}` : ''}
          </Link>
        </Fact>
        {decision.monitored.map((one) => (
          <Fact key={`${one.policy?.id} ${one.rule}`} name="Monitored">
            {one.rule}
            {one.policy ? ` of ${one.policy.name}` : ''} would have said{' '}
            {OUTCOME_FACE[one.effect].label.toLowerCase()}
            {one.reason ? `: ${one.reason}` : ''}
          </Fact>
        ))}
        <Today id={decision.id} />
        {decision.facts_digest ? (
          <Fact name="Facts digest">
            <code className="font-mono break-all">{decision.facts_digest.slice(0, 16)}</code>
          </Fact>
        ) : null}
      </dl>
      <section aria-label="Facts">
        <h3 className="mb-1 font-medium">Facts</h3>
        <ValueTree value={decision.facts} />
      </section>
      <section aria-label="As a test">
        <div className="mb-1 flex items-center justify-between">
          <h3 className="font-medium">As a test</h3>
          <CopyButton label="Copy test" text={() => decision.case_source} />
        </div>
        <pre className="max-h-60 overflow-auto rounded-md bg-raised p-2 font-mono text-dense" tabIndex={0}>
          {decision.case_source}
        </pre>
        {scope.policy || decision.policy ? (
          <AddCase
            project={scope.project}
            policyId={scope.policy ?? decision.policy?.id ?? ''}
            decision={decision}
          />
        ) : (
          <Link className={buttonClass({ variant: 'secondary' }, 'mt-2')} to={paths.policies(scope.project)}>
            Choose a policy for it
          </Link>
        )}
      </section>
    </div>
  )
}

/** What would be decided now. */
function Today({ id }: { id: string }) {
  const today = useQuery(todayQuery(id))
  if (!today.data) return null
  const { outcome, same, lacking } = today.data
  return (
    <Fact name="Today">
      {outcome === null
        ? `cannot be told: ${lacking.join(', ')} was not recorded`
        : same
          ? `the same, ${outcomeBy(today.data.rule)}`
          : `${OUTCOME_FACE[outcome].label.toLowerCase()}, ${outcomeBy(today.data.rule)}`}
    </Fact>
  )
}

const outcomeBy = (rule: string | null): string => (rule === null ? 'by default' : `by ${rule}`)

function AddCase({ project, policyId, decision }: { project: string; policyId: string; decision: Decision }) {
  const navigate = useNavigate()
  const policy = useQuery(policyQuery(policyId))
  const add = () => {
    if (!policy.data) return
    if (addCase(policy.data, decision.case_source)) void navigate(paths.policy(project, policyId, 'edit'))
    else toast('Its tests are not a plain list at the end of the text; copy the test instead', { bad: true })
  }
  return (
    <Button className="mt-2" disabled={!policy.data} onClick={add}>
      <FlaskConical aria-hidden />
      Make a test of {policy.data?.name ?? 'the policy'}
    </Button>
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
