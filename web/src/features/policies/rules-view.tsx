import type { PolicyVersion, RuleOutline } from '@/api/generated/types.gen'
import { CodeEditor } from '@/components/code/code-editor'
import { CopyButton } from '@/components/copy-button'
import { Status } from '@/components/glyph'
import { Empty } from '@/components/states'
import { plural } from '@/lib/format'
import { consentOf } from './consent'
import { EFFECT_WORDS, MODE_WORDS, OUTCOME_FACE } from './words'

/** The rules of one version in the order in which they are asked, and its text. */
export function RulesView({ version, active }: { version: PolicyVersion; active: number | null }) {
  return (
    <div className="flex min-h-0 flex-1 max-lg:flex-col max-lg:overflow-y-auto">
      <div className="min-w-0 flex-1 overflow-y-auto">
        <h2 className="sticky top-0 z-10 flex h-9 items-center border-b border-line bg-surface px-4 text-dense font-medium text-ink-2">
          {plural(version.rules.length, 'rule')}. All that match count: deny overrides ask, ask overrides
          allow.
        </h2>
        {version.rules.length === 0 ? (
          <Empty title="No rules">This version says nothing about anything.</Empty>
        ) : (
          <ol aria-label="Rules">
            {version.rules.map((rule, index) => (
              <Rule key={rule.name} rule={rule} place={index + 1} />
            ))}
          </ol>
        )}
      </div>
      <div className="flex w-[46%] shrink-0 flex-col border-l border-line max-lg:h-[60vh] max-lg:w-full max-lg:border-t max-lg:border-l-0">
        <div className="flex h-9 shrink-0 items-center justify-between border-b border-line px-4">
          <h2 className="text-dense font-medium text-ink-2">
            Text of version {version.version}
            {version.version === active ? ', in force' : ', not in force'}
          </h2>
          <CopyButton label="Copy text" text={() => version.source} />
        </div>
        <CodeEditor
          key={version.version}
          label={`Text of version ${version.version}`}
          language={version.source.trimStart().startsWith('{') ? 'json' : 'yaml'}
          text={version.source}
          className="flex-1"
        />
      </div>
    </div>
  )
}

function Rule({ rule, place }: { rule: RuleOutline; place: number }) {
  const scopes = Object.entries(rule.scope)
  const consent = consentOf(rule)
  return (
    <li
      aria-label={rule.name}
      className="grid grid-cols-[28px_minmax(0,1fr)_auto] gap-x-2 border-b border-line px-4 py-2"
    >
      <span className="text-right text-ink-3 tabular-nums">{place}</span>
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-x-2">
          <span className="font-medium">{rule.name}</span>
          {rule.mode === 'enforce' ? null : (
            <span className="rounded-sm border border-line-strong px-1 text-meta text-ink-2">
              {MODE_WORDS[rule.mode]}
            </span>
          )}
          <span className="text-dense text-ink-3">
            on {rule.on.join(', ')}
            {scopes.map(([kind, names]) => `, ${kind} ${names.join(', ')}`)}
          </span>
        </p>
        {rule.when ? (
          <p className="mt-0.5 font-mono text-dense break-words text-ink-2">when {rule.when}</p>
        ) : (
          <p className="mt-0.5 text-dense text-ink-3">always</p>
        )}
        {rule.reason ? <p className="mt-0.5 text-dense text-ink-2">{rule.reason}</p> : null}
        {consent ? <p className="mt-0.5 text-dense text-ink-2">{consent}</p> : null}
        {rule.description ? <p className="mt-0.5 text-dense text-ink-3">{rule.description}</p> : null}
      </div>
      <div className="text-right">
        <Status face={{ ...OUTCOME_FACE[rule.effect], label: EFFECT_WORDS[rule.effect] }} />
        <p className="text-dense text-ink-3">{rule.severity}</p>
      </div>
    </li>
  )
}
