import { useQuery } from '@tanstack/react-query'
import type { ProblemError } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import type { Checking } from '@/components/code/problem-list'
import type { Draft } from '@/components/code/use-draft'
import { validationQuery } from './edit-api'

type Validation = { problems: readonly ProblemError[]; state: Checking }
type Save = { error: unknown; variables: string | undefined }

const NONE: readonly ProblemError[] = []

/** What is wrong with the draft: what the server said of it when it was saved, or else when the typing paused. */
export function useValidation(project: string, draft: Draft, save: Save): Validation {
  const checked = useQuery(validationQuery(project, draft.settled))
  if (save.error instanceof RequestFailed && save.variables === draft.text && save.error.errors.length > 0) {
    return { problems: save.error.errors, state: 'checked' }
  }
  const problems = checked.data?.errors ?? NONE
  if (checked.isError) return { problems, state: 'unchecked' }
  const current = checked.isSuccess && !checked.isPlaceholderData && draft.settled === draft.text
  return { problems, state: current ? 'checked' : 'checking' }
}
