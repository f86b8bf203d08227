import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import type { Answered, Approval, Preview, Step } from '@/api/generated/types.gen'
import { LineDiff } from '@/components/code/line-diff'
import { APPROVAL_FACE, stepFace } from '@/components/faces'
import { Status } from '@/components/glyph'
import { Duration, Moment } from '@/components/moment'
import { ProblemLine } from '@/components/problem-panel'
import { ValueTree } from '@/components/value-tree'
import { stepsQuery } from '@/features/runs/api'
import { orderly } from '@/lib/orderly'
import { paths } from '@/lib/paths'
import { BUDGET_RULE } from './asking-budgets'
import { askedRequest } from './inbox'
import { previewQuery } from './inbox-api'
import { OutlookPart } from './outlook'
import { Section } from './section'
import { Talk } from './talk'

const LAST_STEPS = 5

/** What helps to decide besides the request: how it differs, what was said, how it goes out, why, what came before. */
export function Evidence({ approval }: { approval: Approval }) {
  const found = useQuery(previewQuery(approval.project, approval.id, approval.request_hash))
  const preview = found.data
  return (
    <>
      {preview?.outlook ? (
        <OutlookPart
          outlook={preview.outlook}
          current={preview.outlook.request_hash === approval.request_hash}
        />
      ) : null}
      <Changes approval={approval} last={preview?.last_approved ?? null} />
      <Talk approval={approval} />
      {preview?.kind ? <GoesOut preview={preview} /> : null}
      {preview && approval.rule !== BUDGET_RULE && Object.keys(preview.facts).length > 0 ? (
        <Section title="What the rule saw">
          <Rule approval={approval} preview={preview} />
          <ValueTree value={preview.facts} />
        </Section>
      ) : null}
      <ProblemLine error={found.error} />
      <LastSteps approval={approval} />
      {preview && preview.earlier.length > 0 ? (
        <Earlier project={approval.project} earlier={preview.earlier} />
      ) : null}
    </>
  )
}

function Changes({ approval, last }: { approval: Approval; last: Answered | null }) {
  const asked = orderly(askedRequest(approval))
  const { edited_by: editor } = approval
  return (
    <>
      {editor ? (
        <Section title={`Changed by ${editor.name}`}>
          <LineDiff
            label={`Changed by ${editor.name}, what is different`}
            before={orderly(approval.proposed_request)}
            after={asked}
          />
        </Section>
      ) : null}
      {last ? (
        <Section title="Difference from the last one approved">
          <p className="text-dense text-ink-3">
            {last.decided_by ? `Approved by ${last.decided_by.name} ` : 'Approved '}
            {last.decided_at ? <Moment at={last.decided_at} /> : null}
          </p>
          <LineDiff
            label="Difference from the last one approved, lines"
            before={orderly(last.request)}
            after={asked}
          />
        </Section>
      ) : null}
    </>
  )
}

const REPEATS: Readonly<Record<string, string>> = {
  pure: 'It only reads; sending it twice does no harm.',
  idempotent: 'The target recognises it by its key, so that it happens once however often it is sent.',
  txn: 'It writes into this platform, once.',
  unsafe: 'It cannot be taken back or repeated. It is sent at most once.',
}

function GoesOut({ preview }: { preview: Preview }) {
  const what = preview.kind === 'llm' ? 'The model' : 'The tool'
  return (
    <Section title="What goes out">
      <p>
        {what} <code className="font-mono text-dense">{preview.name}</code>
        {preview.description ? `: ${preview.description}` : ''}
      </p>
      {preview.effect_class ? <p className="text-ink-2">{REPEATS[preview.effect_class]}</p> : null}
      {preview.idempotency_key ? (
        <p className="text-ink-2">
          Key <code className="font-mono text-dense">{preview.idempotency_key}</code>
        </p>
      ) : null}
      {preview.tool_changed ? (
        <p role="alert" className="font-medium text-tx-failed">
          The tool has changed since this was asked. An approval would not be used; reject it, or let it
          expire.
        </p>
      ) : null}
    </Section>
  )
}

function Rule({ approval, preview }: { approval: Approval; preview: Preview }) {
  if (approval.rule === null || preview.policy === null) return null
  return (
    <p className="mb-2 text-ink-2">
      Rule <code className="font-mono text-dense">{approval.rule}</code> of the policy {preview.policy.name},
      version {preview.policy.version}
      {preview.severity ? `, severity ${preview.severity}` : ''}
    </p>
  )
}

function LastSteps({ approval }: { approval: Approval }) {
  const found = useQuery(stepsQuery(approval.run_id))
  const begun = (found.data ?? []).filter(
    (one): one is Step & { started_at: string } => one.started_at !== null,
  )
  const last = begun.sort((a, b) => a.started_at.localeCompare(b.started_at)).slice(-LAST_STEPS)
  if (last.length === 0) return null
  const run = paths.run(approval.project, approval.run_id)
  return (
    <Section title="The run so far">
      <ol className="grid gap-1">
        {last.map((step) => (
          <li key={step.id} className="flex flex-wrap items-center gap-x-3">
            <Link
              to={`${run}?step=${step.id}`}
              className="min-w-32 underline underline-offset-2 hover:text-ink-2"
            >
              {step.key}
            </Link>
            <Status face={stepFace(step)} className="text-dense" />
            <span className="text-dense text-ink-3">
              <Duration from={step.started_at} to={step.finished_at} />
            </span>
          </li>
        ))}
      </ol>
    </Section>
  )
}

function Earlier({ project, earlier }: { project: string; earlier: readonly Answered[] }) {
  return (
    <Section title="Earlier answers to requests like this">
      <ol className="grid gap-1">
        {earlier.map((one) => (
          <li key={one.id} className="flex flex-wrap items-center gap-x-3">
            <Status face={APPROVAL_FACE[one.status]} className="text-dense" />
            <Link
              to={`${paths.approvals(project)}?state=done&item=${one.id}`}
              className="min-w-0 truncate underline underline-offset-2 hover:text-ink-2"
            >
              {one.title}
            </Link>
            <span className="text-dense text-ink-3">
              {one.decided_by ? `${one.decided_by.name} ` : ''}
              {one.decided_at ? <Moment at={one.decided_at} /> : null}
              {one.edited ? ', with changes' : ''}
              {one.comment ? `: ${one.comment}` : ''}
            </span>
          </li>
        ))}
      </ol>
    </Section>
  )
}
