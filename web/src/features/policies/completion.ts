import { autocompletion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete'
import type { Extension } from '@codemirror/state'
import type { PolicyFacts } from '@/api/generated/types.gen'
import { proposalsAt } from './complete'

const TYPES = { fact: 'variable', key: 'property', value: 'constant' } as const

/** Offers keys, values and facts while a policy is written; Ctrl+Space asks for them. */
export function policyCompletion(facts: PolicyFacts | undefined): Extension {
  const source = (context: CompletionContext): CompletionResult | null => {
    const found = proposalsAt(context.state.doc.toString(), context.pos, facts)
    if (!found || (found.from === context.pos && !context.explicit)) return null
    return {
      from: found.from,
      options: found.options.map(({ label, kind, detail, info }) => ({
        label,
        type: TYPES[kind],
        ...(detail ? { detail } : {}),
        ...(info ? { info } : {}),
      })),
      validFor: /^[\w."-]*$/,
    }
  }
  return autocompletion({ override: [source], icons: false })
}
