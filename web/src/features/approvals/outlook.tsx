import type { Outlook } from '@/api/generated/types.gen'
import { Moment } from '@/components/moment'
import { Section } from './section'

type OutlookPartProps = {
  outlook: Outlook
  /** Whether it is about what is asked now; an approver may have changed the request since. */
  current: boolean
}

/** What the call would do, as its target told before anything of it was done. */
export function OutlookPart({ outlook, current }: OutlookPartProps) {
  const { why } = outlook.rows
  return (
    <Section title="What it would do">
      <dl className="grid grid-cols-[112px_minmax(0,1fr)] gap-x-3 gap-y-1">
        <dt className="text-ink-3">Write</dt>
        <dd className="break-words">{outlook.what}</dd>
        <dt className="text-ink-3">Rows</dt>
        <dd>
          <strong className="font-medium">{rowsInWords(outlook)}</strong>
          {why ? <span className="text-ink-2"> {why}</span> : null}
        </dd>
        {outlook.besides.length > 0 ? (
          <>
            <dt className="text-ink-3">Besides</dt>
            <dd>
              {outlook.besides.map((words) => (
                <p key={words}>{words}</p>
              ))}
            </dd>
          </>
        ) : null}
        <dt className="text-ink-3">Looked at</dt>
        <dd>
          <Moment at={outlook.made_at} />
          <span className="text-ink-2">, nothing was executed; the database may have changed since</span>
        </dd>
      </dl>
      {current ? null : (
        <p role="status" className="mt-1 font-medium text-tx-waiting">
          The request has been changed since. This is about what was asked before; what it would do now is
          being found out.
        </p>
      )}
      {outlook.plan.length > 0 ? (
        <section aria-label="Plan of the database" tabIndex={0} className="mt-2 overflow-x-auto">
          <pre className="font-mono text-dense">{outlook.plan.join('\n')}</pre>
        </section>
      ) : null}
    </Section>
  )
}

/** How many rows would be touched, with what is behind the number. */
export function rowsInWords({ rows: { basis, count } }: Outlook): string {
  if (basis === 'unknown' || count === null) return 'Not known.'
  const rows = `${count.toLocaleString('en')} ${count === 1 ? 'row' : 'rows'}`
  return basis === 'exact' ? `${rows}, counted.` : `About ${rows}, estimated.`
}
