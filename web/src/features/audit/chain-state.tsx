import { useQuery } from '@tanstack/react-query'
import { usePolling } from '@/api/use-live'
import { Status } from '@/components/glyph'
import { Moment } from '@/components/moment'
import { type AuditScope, chainQuery } from './api'
import { CHAIN_FACE } from './words'

const POLL_MS = 10_000

/** How far the trail is sealed. Whether it is whole nobody can tell who only sees the database: that is said, too. */
export function ChainState({ scope }: { scope: AuditScope }) {
  const poll = usePolling(POLL_MS)
  const found = useQuery({
    ...chainQuery(scope),
    refetchInterval: ({ state }) => (state.error ? false : poll),
  })
  const chain = found.data
  if (!chain) return <span>Who did what, with what was before and after</span>
  return (
    <>
      <Status face={CHAIN_FACE[chain.state]} />
      {chain.last ? (
        <>
          , seal {chain.last.number} over {chain.lines.toLocaleString('en')} lines of the installation,{' '}
          <Moment at={chain.last.at} />
        </>
      ) : (
        '. Workers seal the trail when SPARKOPS_AUDIT_KEY is set'
      )}
      {chain.waiting > 0 ? `; ${chain.waiting >= 1000 ? 'over 1,000' : chain.waiting} waiting` : ''}.{' '}
      <span className="text-ink-3">
        <code className="font-mono">sparkops audit verify</code> checks that nothing was changed or removed.
      </span>
    </>
  )
}
