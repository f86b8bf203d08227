import { Save } from 'lucide-react'
import { useState } from 'react'
import { RequestFailed } from '@/api/problem'
import { DefinitionEditor } from '@/components/code/definition-editor'
import { DraftBar } from '@/components/code/draft-bar'
import { useDraft } from '@/components/code/use-draft'
import { ProblemLine } from '@/components/problem-panel'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useCreateAgent } from './api'
import { readDefinition } from './definition-text'
import { STARTER } from './starter'
import { isListed, useAgentProblems } from './use-agent-problems'

type NewAgentProps = { project: string; onCreated: (id: string) => void }

/** An agent that is not there yet: its name, and its definition from a text that already works. */
export function NewAgent({ project, onCreated }: NewAgentProps) {
  const [name, setName] = useState('')
  const [missing, setMissing] = useState(false)
  const draft = useDraft(`new-agent:${project}`, { text: STARTER, base: null })
  const create = useCreateAgent(project)
  const { problems, state } = useAgentProblems(draft, create)
  const refused = nameError(create.error)
  const send = () => {
    const { definition } = readDefinition(draft.text)
    setMissing(name.trim() === '')
    if (definition === null || create.isPending || name.trim() === '') return
    create.mutate(
      { name: name.trim(), definition, text: draft.text },
      {
        onSuccess: (agent) => {
          draft.saved()
          toast(`Created ${agent.name}`)
          onCreated(agent.id)
        },
      },
    )
  }
  return (
    <>
      <div className="border-b border-line px-4 py-3 [&>div]:max-w-96">
        <Field
          label="Name"
          required
          hint="Small letters, digits and hyphens, beginning with a letter. Steps of a workflow name the agent by it."
          error={missing ? 'An agent needs a name.' : refused}
        >
          {(wiring) => (
            <Input
              {...wiring}
              maxLength={100}
              className="font-mono"
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
      </div>
      <DraftBar
        draft={draft}
        from="A scripted agent answers by its script and needs no model"
        latest={null}
        error={isListed(create.error) ? null : <ProblemLine error={create.error} />}
      >
        <PermittedButton
          permission="agent:write"
          variant="primary"
          disabled={create.isPending}
          onClick={send}
        >
          <Save aria-hidden />
          {create.isPending ? 'Creating' : 'Create agent'}
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

/** What the server says of the name, which stands beside the definition and not in it. */
function nameError(error: unknown): string | undefined {
  if (!(error instanceof RequestFailed)) return undefined
  return error.errors.find((one) => one.path === 'name')?.message
}
