import type { Call } from '@/api/generated/types.gen'
import { CALL_FACE } from '@/components/faces'
import { Status } from '@/components/glyph'
import { JsonView } from '@/components/json-view'
import { asLarge } from '@/components/large'
import { Money } from '@/components/money'
import { Empty } from '@/components/states'
import { elapsedMs, formatDuration } from '@/lib/format'
import { tokensOf } from './call-words'
import { type Said, type Thread, type Turn, threadsOf } from './conversation'
import { useStreamedText } from './stream-store'

/** What was said to the models of a run, and what they answered, as they answer it. */
export function Messages({ calls }: { calls: readonly Call[] }) {
  const threads = threadsOf(calls)
  if (threads.length === 0) {
    return <Empty title="No messages">No step of this run has asked a model yet.</Empty>
  }
  return (
    <div className="overflow-y-auto px-4 py-3">
      {threads.map((thread) => (
        <ThreadView key={thread.stepId} thread={thread} />
      ))}
    </div>
  )
}

function ThreadView({ thread }: { thread: Thread }) {
  return (
    <section aria-label={`Conversation of ${thread.stepKey}`} className="mb-8 grid max-w-4xl gap-3">
      <h2 className="flex items-baseline gap-2 text-section font-semibold">
        {thread.stepKey}
        <code className="font-mono text-dense font-normal text-ink-3">{thread.model}</code>
      </h2>
      {thread.offered.length > 0 ? (
        <p className="text-dense text-ink-2">
          Tools offered: <code className="font-mono">{thread.offered.join(', ')}</code>
        </p>
      ) : null}
      {thread.system ? (
        <details>
          <summary className="text-ink-2">System prompt</summary>
          <Text text={thread.system} />
        </details>
      ) : null}
      {thread.turns.map((turn, index) => (
        <TurnView key={turn.call.id} turn={turn} number={index + 1} />
      ))}
    </section>
  )
}

function TurnView({ turn, number }: { turn: Turn; number: number }) {
  const { call, heard, answer } = turn
  const tokens = tokensOf(call)
  const took = call.prepared_at && call.finished_at ? elapsedMs(call.prepared_at, call.finished_at, 0) : null
  return (
    <div className="grid gap-2">
      {asLarge(call.request) ? (
        <Block title="Asked">
          <JsonView label={`Request of turn ${number}`} value={call.request} />
        </Block>
      ) : null}
      {heard.map((said, index) => (
        <Message key={index} said={said} />
      ))}
      <div className="flex flex-wrap items-center gap-x-3 border-t border-line pt-1 text-dense text-ink-3">
        <span>Turn {number}</span>
        <Status face={CALL_FACE[call.status]} className="font-normal" />
        {tokens ? <span>{`${tokens.input} tokens in, ${tokens.output} out`}</span> : null}
        {took === null ? null : <span>{formatDuration(took)}</span>}
        <Money micros={call.cost_micros} />
      </div>
      {asLarge(call.response) ? (
        <Block title="Model">
          <JsonView label={`Answer of turn ${number}`} value={call.response} />
        </Block>
      ) : answer ? (
        <Message said={answer} />
      ) : (
        <Writing callId={call.id} />
      )}
      {call.error ? <p className="text-tx-failed">{call.error.message}</p> : null}
    </div>
  )
}

/** What a model is writing just now. */
function Writing({ callId }: { callId: string }) {
  const streamed = useStreamedText(callId)
  if (!streamed) return null
  return (
    <Block title="Model, writing">
      <Text text={streamed.text} live />
    </Block>
  )
}

function Message({ said }: { said: Said }) {
  switch (said.role) {
    case 'user':
      return (
        <Block title="Asked">
          <Text text={said.text} />
        </Block>
      )
    case 'assistant':
      return (
        <Block title="Model">
          {said.text ? <Text text={said.text} /> : null}
          {said.tools.map((use) => (
            <div key={use.id} className="mt-1">
              <p className="text-dense">
                uses <code className="font-mono font-medium">{use.tool}</code>
              </p>
              <JsonView label={`Arguments of ${use.tool}`} value={use.input} />
            </div>
          ))}
        </Block>
      )
    case 'tool':
      return (
        <Block title={said.isError ? `${said.tool} failed` : `${said.tool} answered`}>
          <JsonView label={`Result of ${said.tool}`} value={said.output} />
        </Block>
      )
  }
}

function Block({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <div className="grid grid-cols-[112px_minmax(0,1fr)] gap-3 max-md:grid-cols-1 max-md:gap-0">
      <h3 className="pt-1 text-dense font-medium break-words text-ink-2">{title}</h3>
      <div>{children}</div>
    </div>
  )
}

function Text({ text, live = false }: { text: string; live?: boolean }) {
  return (
    <p className="py-0.5 break-words whitespace-pre-wrap">
      {text}
      {live ? (
        <span aria-hidden className="ml-0.5 inline-block h-3.5 w-1.5 translate-y-0.5 bg-st-running" />
      ) : null}
    </p>
  )
}
