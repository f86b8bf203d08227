import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { DefinitionEditor } from '@/components/code/definition-editor'
import type { Draft } from '@/components/code/use-draft'
import { factsQuery } from './api'
import { policyCompletion } from './completion'
import { TestsPanel } from './tests-panel'
import type { usePolicyCheck } from './use-policy-check'

type PolicyWriterProps = {
  draft: Draft
  check: ReturnType<typeof usePolicyCheck>
  onSave: () => void
}

/** A policy being written: the text with completion, its mistakes below, its tests beside. */
export function PolicyWriter({ draft, check, onSave }: PolicyWriterProps) {
  const facts = useQuery(factsQuery)
  const extension = useMemo(() => policyCompletion(facts.data), [facts.data])
  return (
    <div className="flex min-h-0 flex-1">
      <DefinitionEditor
        label="Policy"
        draft={draft}
        problems={check.problems}
        state={check.state}
        onSave={onSave}
        extension={extension}
      />
      <TestsPanel report={check.tests} current={check.state === 'checked'} />
    </div>
  )
}
