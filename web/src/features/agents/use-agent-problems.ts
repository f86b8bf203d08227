import { useMemo } from 'react'
import type { ProblemError } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import type { Checking } from '@/components/code/problem-list'
import type { Draft } from '@/components/code/use-draft'
import { locate, readDefinition } from './definition-text'

type Save = { error: unknown; variables: { text: string } | undefined }
type Problems = { problems: readonly ProblemError[]; state: Checking }

/** What is wrong with a definition: whether it is YAML at once, whether it makes sense when it has been sent. */
export function useAgentProblems(draft: Draft, save: Save): Problems {
  const { text, settled } = draft
  const own = useMemo(() => readDefinition(settled).problems, [settled])
  const refused = useMemo(
    () =>
      save.error instanceof RequestFailed
        ? locate(
            save.variables?.text ?? '',
            save.error.errors.filter((one) => one.path !== 'name'),
          )
        : [],
    [save.error, save.variables],
  )
  if (save.variables?.text === text && refused.length > 0) return { problems: refused, state: 'checked' }
  return { problems: own, state: own.length > 0 ? 'checked' : 'on-save' }
}

/** Whether the list of problems says it all. */
export const isListed = (error: unknown): boolean =>
  error instanceof RequestFailed && error.status === 422 && error.errors.length > 0
