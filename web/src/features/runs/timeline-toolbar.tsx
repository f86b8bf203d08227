import { Glyph, type Tone } from '@/components/glyph'
import { Button } from '@/components/ui/button'
import { Input } from '@/components/ui/input'
import { cn } from '@/lib/cn'

export type Scale = 'visible' | 'run'

const WORDS = {
  succeeded: 'succeeded',
  running: 'running',
  waiting: 'waiting for a person',
  failed: 'failed',
  denied: 'denied',
  queued: 'queued or waiting',
  cancelled: 'cancelled',
  skipped: 'skipped',
} satisfies Record<Tone, string>

type TimelineToolbarProps = {
  text: string
  onText: (text: string) => void
  counts: ReadonlyMap<Tone, number>
  tone: Tone | null
  onTone: (tone: Tone | null) => void
  scale: Scale
  onScale: (scale: Scale) => void
  /** null: there is no long wait. */
  foldsWaits: boolean | null
  onFoldWaits: () => void
  /** null: the run is over, there is nothing to follow. */
  following: boolean | null
  onFollow: () => void
  facts: string
}

export function TimelineToolbar(props: TimelineToolbarProps) {
  const { text, counts, tone, scale, following } = props
  return (
    <div className="flex min-h-9 flex-wrap items-center gap-x-2 gap-y-1 border-b border-line px-3 py-1">
      <Input
        type="search"
        aria-label="Filter steps"
        placeholder="Filter steps"
        className="h-6 w-36 text-body"
        value={text}
        onChange={(event) => props.onText(event.target.value)}
      />
      {[...counts].map(([one, count]) => (
        <button
          key={one}
          type="button"
          aria-pressed={tone === one}
          aria-label={`${count} ${WORDS[one]}`}
          title={`Only ${WORDS[one]}`}
          onClick={() => props.onTone(tone === one ? null : one)}
          className={cn(
            'flex h-6 items-center gap-1.5 rounded-md border border-transparent px-1.5 text-dense hover:bg-raised',
            tone === one && 'border-ink bg-raised',
          )}
        >
          <Glyph tone={one} />
          {count.toLocaleString('en-US')}
        </button>
      ))}
      <div className="ml-auto flex items-center gap-2 text-dense text-ink-2">
        <span className="max-lg:hidden">{props.facts}</span>
        <Button
          size="sm"
          variant="ghost"
          onClick={() => props.onScale(scale === 'visible' ? 'run' : 'visible')}
        >
          Scale: {scale === 'visible' ? 'visible steps' : 'whole run'}
        </Button>
        {props.foldsWaits === null ? null : (
          <Button size="sm" variant="ghost" aria-pressed={props.foldsWaits} onClick={props.onFoldWaits}>
            {props.foldsWaits ? 'Waits folded' : 'Fold waits'}
          </Button>
        )}
        {following === null ? null : (
          <Button size="sm" variant="ghost" aria-pressed={following} onClick={props.onFollow}>
            {following ? 'Following' : 'Follow'}
          </Button>
        )}
      </div>
    </div>
  )
}
