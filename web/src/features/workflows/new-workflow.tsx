import { Save } from 'lucide-react'
import { DefinitionEditor } from '@/components/code/definition-editor'
import { DraftBar } from '@/components/code/draft-bar'
import { useDraft } from '@/components/code/use-draft'
import { ProblemLine } from '@/components/problem-panel'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useCreateWorkflow } from './edit-api'
import { STARTER } from './starter'
import { useValidation } from './use-validation'
import { isListed } from './workflow-editor'

type NewWorkflowProps = { project: string; onCreated: (id: string) => void }

/** A workflow that is not there yet, written from a text that already works. */
export function NewWorkflow({ project, onCreated }: NewWorkflowProps) {
  const draft = useDraft(`new-workflow:${project}`, { text: STARTER, base: null })
  const create = useCreateWorkflow(project)
  const { problems, state } = useValidation(project, draft, create)
  const send = () => {
    if (create.isPending) return
    create.mutate(draft.text, {
      onSuccess: (workflow) => {
        draft.saved()
        toast(`Created ${workflow.name}`)
        onCreated(workflow.id)
      },
    })
  }
  return (
    <>
      <DraftBar
        draft={draft}
        from="The name comes from the definition"
        latest={null}
        error={isListed(create.error) ? null : <ProblemLine error={create.error} />}
      >
        <PermittedButton
          permission="workflow:write"
          variant="primary"
          disabled={create.isPending}
          onClick={send}
        >
          <Save aria-hidden />
          {create.isPending ? 'Creating' : 'Create workflow'}
        </PermittedButton>
      </DraftBar>
      <DefinitionEditor
        label="Workflow definition"
        draft={draft}
        problems={problems}
        state={state}
        onSave={send}
      />
    </>
  )
}
