import { Link, useParams } from 'react-router'
import type { Call, CallEdit } from '@/api/generated/types.gen'
import { LineDiff } from '@/components/code/line-diff'
import { CALL_FACE } from '@/components/faces'
import { Glyph, Status } from '@/components/glyph'
import { JsonView } from '@/components/json-view'
import { Moment } from '@/components/moment'
import { Money } from '@/components/money'
import { elapsedMs, formatDuration } from '@/lib/format'
import { orderly } from '@/lib/orderly'
import { paths } from '@/lib/paths'
import { decisionWords, tokensOf } from './call-words'

/** One call, folded: what, state, cost. Unfolded: decision, request, response. */
export function CallCard({ call, open }: { call: Call; open: boolean }) {
  const face = CALL_FACE[call.status]
  return (
    <details
      key={String(open)}
      open={open}
      className="group min-w-0 rounded-md border border-line open:bg-surface"
    >
      <summary className="flex h-8 items-center gap-2 rounded-md px-2 hover:bg-raised">
        <Glyph tone={face.tone} label={face.label} />
        <span className="truncate font-medium">{call.name}</span>
        <span className="font-mono text-meta text-ink-3">
          {call.kind} {call.seq}
        </span>
        <span className="ml-auto text-dense text-ink-2">
          {call.cost_micros === 0 ? null : <Money micros={call.cost_micros} />}
        </span>
      </summary>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-2 border-t border-line p-2">
        <CallFacts call={call} />
        {call.error ? (
          <p className="text-tx-failed">
            {call.error.message} <code className="font-mono text-dense">{call.error.code}</code>
          </p>
        ) : null}
        {call.edit ? <Edit call={call} edit={call.edit} /> : null}
        <h4 className="text-dense font-medium text-ink-2">
          {call.edit ? 'Request, as the step made it' : 'Request'}
        </h4>
        <JsonView label={`Request of call ${call.seq}`} value={call.request} />
        {call.response === null || call.response === undefined ? null : (
          <>
            <h4 className="text-dense font-medium text-ink-2">Response</h4>
            <JsonView label={`Response of call ${call.seq}`} value={call.response} />
          </>
        )}
      </div>
    </details>
  )
}

/** What an approver made of the request: that went out, or will, and not what the step asked for. */
function Edit({ call, edit }: { call: Call; edit: CallEdit }) {
  return (
    <>
      <h4 className="text-dense font-medium text-ink-2">
        Request, as {edit.by.name} changed it <Moment at={edit.at} />
      </h4>
      <JsonView label={`Changed request of call ${call.seq}`} value={edit.request} />
      <LineDiff
        label={`What ${edit.by.name} changed in call ${call.seq}`}
        before={orderly(call.request)}
        after={orderly(edit.request)}
      />
    </>
  )
}

function CallFacts({ call }: { call: Call }) {
  const tokens = tokensOf(call)
  const decision = call.decision
  const { project, runId } = useParams()
  return (
    <dl className="grid grid-cols-[96px_1fr] gap-x-3 gap-y-0.5 text-dense">
      <dt className="text-ink-3">State</dt>
      <dd>
        <Status face={CALL_FACE[call.status]} />
      </dd>
      <dt className="text-ink-3">Decision</dt>
      <dd>
        {decision && project && runId ? (
          <Link className="underline" to={`${paths.run(project, runId, 'policy')}?decision=${decision.id}`}>
            {decisionWords(decision)}
          </Link>
        ) : (
          decisionWords(decision)
        )}
        {decision?.reason ? <span className="text-ink-2">: {decision.reason}</span> : null}
      </dd>
      <dt className="text-ink-3">Effect</dt>
      <dd>
        {call.effect_class}, sent {call.sends === 1 ? 'once' : `${call.sends} times`}, attempt {call.attempt}
      </dd>
      <dt className="text-ink-3">Took</dt>
      <dd>
        {formatDuration(
          call.prepared_at && call.finished_at ? elapsedMs(call.prepared_at, call.finished_at, 0) : null,
        )}
      </dd>
      {tokens ? (
        <>
          <dt className="text-ink-3">Tokens</dt>
          <dd>
            {tokens.input.toLocaleString('en-US')} in, {tokens.output.toLocaleString('en-US')} out
          </dd>
        </>
      ) : null}
      <dt className="text-ink-3">Cost</dt>
      <dd>
        <Money micros={call.cost_micros} />
      </dd>
    </dl>
  )
}
