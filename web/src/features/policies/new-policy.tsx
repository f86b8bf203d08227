import { Save } from 'lucide-react'
import { useState } from 'react'
import { useSession } from '@/api/use-session'
import { DraftBar } from '@/components/code/draft-bar'
import { useDraft } from '@/components/code/use-draft'
import { ProblemLine } from '@/components/problem-panel'
import { Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { useCreatePolicy } from './api'
import { isListed } from './policy-editor'
import { PolicyWriter } from './policy-writer'
import { STARTER } from './starter'
import { usePolicyCheck } from './use-policy-check'

type NewPolicyProps = { project: string; onCreated: (id: string) => void }

/** A policy that is not there yet, written from a text that already works. */
export function NewPolicy({ project, onCreated }: NewPolicyProps) {
  const session = useSession()
  const admin = session.phase === 'in' && session.user.is_admin
  const [everywhere, setEverywhere] = useState(false)
  const scope = everywhere ? null : project
  const draft = useDraft(`new-policy:${project}`, { text: STARTER, base: null })
  const create = useCreatePolicy(project, scope)
  const check = usePolicyCheck(scope, draft, create)
  const send = () => {
    if (create.isPending) return
    create.mutate(draft.text, {
      onSuccess: ({ policy }) => {
        draft.saved()
        toast(`Saved ${policy.name}. It decides nothing until it is published`)
        onCreated(policy.id)
      },
    })
  }
  return (
    <>
      <DraftBar
        draft={draft}
        from="The name is taken from the text"
        latest={null}
        error={isListed(create.error) ? null : <ProblemLine error={create.error} />}
      >
        {admin ? (
          <Select
            aria-label="Applies to"
            className="w-44 text-body"
            value={everywhere ? 'all' : 'project'}
            onChange={(event) => setEverywhere(event.target.value === 'all')}
          >
            <option value="project">For this project</option>
            <option value="all">For the whole installation</option>
          </Select>
        ) : null}
        <PermittedButton
          permission="policy:write"
          variant="primary"
          disabled={create.isPending}
          onClick={send}
        >
          <Save aria-hidden />
          {create.isPending ? 'Saving' : 'Save policy'}
        </PermittedButton>
      </DraftBar>
      <PolicyWriter draft={draft} check={check} onSave={send} />
    </>
  )
}
