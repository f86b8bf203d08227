import { useQuery } from '@tanstack/react-query'
import { FlaskConical } from 'lucide-react'
import { Link, useNavigate } from 'react-router'
import type { DecisionDetail as Decision } from '@/api/generated/types.gen'
import { asProblem } from '@/api/problem'
import { CopyButton } from '@/components/copy-button'
import { Status } from '@/components/glyph'
import { Fact, Facts, Inspector } from '@/components/inspector'
import { ValuesRun } from '@/components/large'
import { Moment } from '@/components/moment'
import { ProblemPanel } from '@/components/problem-panel'
import { Button, buttonClass } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { ValueTree } from '@/components/value-tree'
import { shortId } from '@/lib/format'
import { paths } from '@/lib/paths'
import { addCase } from './add-case'
import { policyQuery } from './api'
import { type DecisionScope, decisionQuery, todayQuery } from './decisions-api'
import { decidedBy, OUTCOME_FACE, WOULD_HAVE } from './words'

type DecisionDetailProps = { id: string; scope: DecisionScope; onClose: () => void }

/** One decision: who decided, on which facts, and the way to make a test of it. */
export function DecisionDetail({ id, scope, onClose }: DecisionDetailProps) {
  const found = useQuery(decisionQuery(id))
  return (
    <Inspector title="Decision" found={found} onClose={onClose}>
      {(decision) => <DecisionBody decision={decision} scope={scope} />}
    </Inspector>
  )
}

/** All that is known of a decision. */
export function DecisionBody({ decision, scope }: { decision: Decision; scope: DecisionScope }) {
  return (
    <ValuesRun.Provider value={decision.run_id}>
      <Detail decision={decision} scope={scope} />
    </ValuesRun.Provider>
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
      <Facts>
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
          {decision.run_exists ? (
            <Link
              className="underline"
              to={`${paths.run(scope.project, decision.run_id)}${decision.step_id ? `?step=${decision.step_id}` : ''}`}
            >
              {shortId(decision.run_id)}
              {decision.step_key ? `, step ${decision.step_key}` : ''}
            </Link>
          ) : (
            'The run was refused before it began, so there is none.'
          )}
        </Fact>
        {decision.monitored.map((one) => (
          <Fact key={`${one.policy?.id} ${one.rule}`} name="Monitored">
            {one.rule}
            {one.policy ? ` of ${one.policy.name}` : ''} {WOULD_HAVE[one.effect]}
            {one.reason ? `: ${one.reason}` : ''}
          </Fact>
        ))}
        <Today id={decision.id} />
        {decision.facts_digest ? (
          <Fact name="Facts digest">
            <code className="font-mono break-all">{decision.facts_digest.slice(0, 16)}</code>
          </Fact>
        ) : null}
      </Facts>
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
            name={
              scope.policy === undefined || scope.policy === decision.policy?.id
                ? decision.policy?.name
                : undefined
            }
            lines={decision.case_source}
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
  if (today.isError && !today.data) {
    return (
      <Fact name="Today">
        {asProblem(today.error).title}{' '}
        <Button size="sm" disabled={today.isFetching} onClick={() => void today.refetch()}>
          Ask again
        </Button>
      </Fact>
    )
  }
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

type AddCaseProps = {
  project: string
  policyId: string
  /** What the policy is called, where that is known before it has been read. */
  name: string | undefined
  lines: string
}

function AddCase({ project, policyId, name, lines }: AddCaseProps) {
  const navigate = useNavigate()
  const policy = useQuery(policyQuery(policyId))
  const add = () => {
    if (!policy.data) return
    if (addCase(policy.data, lines)) void navigate(paths.policy(project, policyId, 'edit'))
    else toast('Its tests are not a plain list at the end of the text; copy the test instead', { bad: true })
  }
  if (policy.isError && !policy.data) {
    return <ProblemPanel error={policy.error} onRetry={() => void policy.refetch()} />
  }
  return (
    <Button className="mt-2" disabled={!policy.data} onClick={add}>
      <FlaskConical aria-hidden />
      Make a test of {policy.data?.name ?? name ?? 'the policy'}
    </Button>
  )
}
