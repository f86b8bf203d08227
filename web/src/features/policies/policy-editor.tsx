import { History, Save } from 'lucide-react'
import { Link } from 'react-router'
import type { PolicyDetail } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import { DraftBar } from '@/components/code/draft-bar'
import { useDraft } from '@/components/code/use-draft'
import { ProblemLine } from '@/components/problem-panel'
import { buttonClass } from '@/components/ui/button'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { paths } from '@/lib/paths'
import { useSavePolicyVersion } from './api'
import { PolicyWriter } from './policy-writer'
import { usePolicyCheck } from './use-policy-check'

/** Under which key a draft of this policy is kept in this browser. */
export const draftKey = (id: string): string => `policy:${id}`

type PolicyEditorProps = { project: string; policy: PolicyDetail; onSaved: () => void }

/** The next version of a policy, being written. */
export function PolicyEditor({ project, policy, onSaved }: PolicyEditorProps) {
  const { id, latest } = policy
  const draft = useDraft(draftKey(id), { text: latest.source, base: latest.version })
  const save = useSavePolicyVersion(project, id)
  const check = usePolicyCheck(policy.project, draft, save)
  const send = () => {
    if (save.isPending) return
    save.mutate(draft.text, {
      onSuccess: ({ version, tests }) => {
        draft.saved()
        const words =
          version.version === latest.version
            ? `Nothing changed: it stays version ${version.version}`
            : `Saved as version ${version.version}`
        toast(tests.failed > 0 ? `${words}. Its tests fail, so it cannot be published` : words)
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
        {check.state === 'checked' && check.problems.length === 0 && draft.changed ? (
          <Link
            to={`${paths.policy(project, id, 'backtest')}?draft=1`}
            className={buttonClass({ variant: 'secondary' })}
          >
            <History aria-hidden />
            Backtest draft
          </Link>
        ) : null}
        <PermittedButton
          permission="policy:write"
          variant="primary"
          disabled={save.isPending || !draft.changed}
          onClick={send}
        >
          <Save aria-hidden />
          {save.isPending ? 'Saving' : 'Save as new version'}
        </PermittedButton>
      </DraftBar>
      <PolicyWriter draft={draft} check={check} onSave={send} />
    </>
  )
}

/** Whether the list of problems says it all. */
export const isListed = (error: unknown): boolean =>
  error instanceof RequestFailed && error.status === 422 && error.errors.length > 0
