import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { AuditLineDetail } from '@/api/generated/types.gen'
import { LineDiff } from '@/components/code/line-diff'
import { CopyButton } from '@/components/copy-button'
import { Fact, Facts, Inspector } from '@/components/inspector'
import { Moment } from '@/components/moment'
import { ValueTree } from '@/components/value-tree'
import { type AuditScope, lineQuery } from './api'
import { cameBy, whoDid } from './words'

type LineDetailProps = {
  number: number
  scope: AuditScope
  /** What the action says, if it is known. */
  meaning?: string
  onClose: () => void
  onOnly: (key: 'actor' | 'object' | 'request', value: string) => void
}

/** One line of the trail: who, from where, to what, and what it changed. */
export function LineDetail({ number, scope, meaning, onClose, onOnly }: LineDetailProps) {
  const found = useQuery({
    ...lineQuery(scope, number),
    // A line that waits for its seal has it a moment later.
    refetchInterval: ({ state }) => (state.data && state.data.seal === null ? 2_000 : false),
  })
  return (
    <Inspector title={`Line ${number}`} found={found} onClose={onClose}>
      {(line) => <Detail line={line} meaning={meaning} onOnly={onOnly} />}
    </Inspector>
  )
}

type DetailProps = { line: AuditLineDetail; meaning?: string | undefined; onOnly: LineDetailProps['onOnly'] }

function Detail({ line, meaning, onOnly }: DetailProps) {
  const way = cameBy(line.via)
  return (
    <div className="grid gap-3 px-4 py-3">
      <div>
        <p className="text-section font-semibold">
          <code className="font-mono">{line.action}</code>
        </p>
        {meaning ? <p className="text-ink-2">{meaning}</p> : null}
      </div>
      <Facts>
        <Fact name="Who">
          <Only name="person" onClick={() => onOnly('actor', line.actor)}>
            {whoDid(line)}
          </Only>
          {way ? ` ${way}` : ''}
        </Fact>
        <Fact name="Object">
          <Only name="object" onClick={() => onOnly('object', line.object)}>
            <code className="font-mono">{line.object}</code>
          </Only>
        </Fact>
        {line.project ? <Fact name="Project">{line.project}</Fact> : null}
        <Fact name="When">
          <Moment at={line.at} exact />
        </Fact>
        {line.address ? <Fact name="From">{line.address}</Fact> : null}
        {line.request_id ? (
          <Fact name="Request">
            <Only name="request" onClick={() => onOnly('request', line.request_id ?? '')}>
              <code className="font-mono">{line.request_id}</code>
            </Only>
          </Fact>
        ) : null}
        <Fact name="Seal">
          {line.seal ? (
            <>
              {line.seal.number}, <Moment at={line.seal.at} />
            </>
          ) : (
            'waits for it, about a second'
          )}
        </Fact>
        <Fact name="Hash">
          <code className="font-mono">{line.content_hash.slice(0, 16)}…</code>{' '}
          <CopyButton text={() => line.content_hash} label="Copy the hash" />
        </Fact>
      </Facts>
      <Change line={line} />
      {Object.keys(line.detail).length > 0 ? (
        <section aria-label="Details">
          <h3 className="mb-1 text-dense font-medium text-ink-3">Details</h3>
          <ValueTree value={line.detail} />
        </section>
      ) : null}
    </div>
  )
}

function Change({ line }: { line: AuditLineDetail }) {
  if (line.before === null && line.after === null) return null
  return (
    <section aria-label="What was changed" className="-mx-4">
      <h3 className="mb-1 px-4 text-dense font-medium text-ink-3">
        {line.before === null ? 'Made' : line.after === null ? 'Removed' : 'Changed'}
      </h3>
      <LineDiff label="Before and after" before={textOf(line.before)} after={textOf(line.after)} />
    </section>
  )
}

const textOf = (value: unknown): string => (value === null ? '' : JSON.stringify(value, null, 2))

function Only({ name, onClick, children }: { name: string; onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      title={`Only lines of this ${name}`}
      onClick={onClick}
      className="text-left break-all underline"
    >
      {children}
    </button>
  )
}
