import { type FormEvent, useState } from 'react'
import { RequestFailed } from '@/api/problem'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { CodeField } from './code-field'
import { useAnswerChallenge } from './factor-api'

type CodeFormProps = {
  /** This sign-in cannot go on; says why. */
  onVoid: (why: string) => void
}

/** The second step of signing in. */
export function CodeForm({ onVoid }: CodeFormProps) {
  const [code, setCode] = useState('')
  const answer = useAnswerChallenge()
  const submit = (event: FormEvent) => {
    event.preventDefault()
    answer.mutate(code.trim(), {
      onError: (error) => {
        setCode('')
        if (error instanceof RequestFailed && error.code === 'challenge-void') onVoid(error.message)
      },
    })
  }
  return (
    <form onSubmit={submit} aria-label="Second factor" className="grid gap-4">
      <p className="text-ink-2">The password is right. Now the code that your authenticator app shows.</p>
      <CodeField autoFocus value={code} onChange={setCode} />
      <ProblemLine error={answer.error} />
      <Button type="submit" variant="primary" className="h-9 justify-center" disabled={answer.isPending}>
        {answer.isPending ? 'Signing in' : 'Sign in'}
      </Button>
      <p className="text-dense text-ink-3">
        Lost your phone and your recovery codes? An administrator takes the second factor away.
      </p>
    </form>
  )
}
