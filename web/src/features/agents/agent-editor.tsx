import { Save } from 'lucide-react'
import type { Agent } from '@/api/generated/types.gen'
import { DefinitionEditor } from '@/components/code/definition-editor'
import { DraftBar } from '@/components/code/draft-bar'
import { useDraft } from '@/components/code/use-draft'
import { ProblemLine } from '@/components/problem-panel'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useSaveAgentVersion } from './api'
import { definitionText, readDefinition } from './definition-text'
import { isListed, useAgentProblems } from './use-agent-problems'

type AgentEditorProps = { agent: Agent; onSaved: () => void }

/** The next version of an agent, being written. */
export function AgentEditor({ agent, onSaved }: AgentEditorProps) {
  const { latest } = agent
  const draft = useDraft(`agent:${agent.id}`, {
    text: definitionText(latest.definition),
    base: latest.version,
  })
  const save = useSaveAgentVersion(agent.project, agent.id)
  const { problems, state } = useAgentProblems(draft, save)
  const send = () => {
    const { definition } = readDefinition(draft.text)
    if (definition === null || save.isPending) return
    save.mutate(
      { definition, text: draft.text },
      {
        onSuccess: ({ version }) => {
          draft.saved()
          toast(
            version === latest.version
              ? `Nothing changed: it stays version ${version}`
              : `Saved as version ${version}`,
          )
          onSaved()
        },
      },
    )
  }
  return (
    <>
      <DraftBar
        draft={draft}
        from={`Editing from version ${draft.base}`}
        latest={latest.version}
        error={isListed(save.error) ? null : <ProblemLine error={save.error} />}
      >
        <PermittedButton
          permission="agent:write"
          variant="primary"
          disabled={save.isPending || !draft.changed}
          onClick={send}
        >
          <Save aria-hidden />
          {save.isPending ? 'Saving' : 'Save as new version'}
        </PermittedButton>
      </DraftBar>
      <DefinitionEditor
        label="Agent definition"
        draft={draft}
        problems={problems}
        state={state}
        onSave={send}
      />
    </>
  )
}
