import { Save } from 'lucide-react'
import type { Workflow } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import { DefinitionEditor } from '@/components/code/definition-editor'
import { DraftBar } from '@/components/code/draft-bar'
import { useDraft } from '@/components/code/use-draft'
import { ProblemLine } from '@/components/problem-panel'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useSaveVersion } from './edit-api'
import { useValidation } from './use-validation'

type WorkflowEditorProps = { workflow: Workflow; onSaved: () => void }

/** The next version of a workflow, being written. */
export function WorkflowEditor({ workflow, onSaved }: WorkflowEditorProps) {
  const { project, id, latest } = workflow
  const draft = useDraft(`workflow:${id}`, { text: latest.source, base: latest.version })
  const save = useSaveVersion(project, id)
  const { problems, state } = useValidation(project, draft, save)
  const send = () => {
    if (save.isPending) return
    save.mutate(draft.text, {
      onSuccess: (version) => {
        draft.saved()
        toast(
          version.version === latest.version
            ? `Nothing changed: it stays version ${version.version}`
            : `Saved as version ${version.version}`,
        )
        onSaved()
      },
    })
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
          permission="workflow:write"
          variant="primary"
          disabled={save.isPending || !draft.changed}
          onClick={send}
        >
          <Save aria-hidden />
          {save.isPending ? 'Saving' : 'Save as new version'}
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

/** Whether the list of problems says it all. */
export const isListed = (error: unknown): boolean =>
  error instanceof RequestFailed && error.status === 422 && error.errors.length > 0
