import { useQuery } from '@tanstack/react-query'
import type { CaseReport, ProblemError } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import type { Checking } from '@/components/code/problem-list'
import type { Draft } from '@/components/code/use-draft'
import { checkQuery } from './api'

type Check = {
  problems: readonly ProblemError[]
  state: Checking
  tests: CaseReport | null
}
type Save = { error: unknown; variables: string | undefined }

const NONE: readonly ProblemError[] = []

/** What the server says to the draft when the typing pauses: its mistakes, or what its tests come to. */
export function usePolicyCheck(project: string | null, draft: Draft, save: Save): Check {
  const checked = useQuery(checkQuery(project, draft.settled))
  if (save.error instanceof RequestFailed && save.variables === draft.text && save.error.errors.length > 0) {
    return { problems: save.error.errors, state: 'checked', tests: null }
  }
  const problems = checked.data?.errors ?? NONE
  const tests = checked.data?.tests ?? null
  if (checked.isError) return { problems, state: 'unchecked', tests }
  const current = checked.isSuccess && !checked.isPlaceholderData && draft.settled === draft.text
  return { problems, state: current ? 'checked' : 'checking', tests }
}
