import { useQuery } from '@tanstack/react-query'
import { Upload } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { Link } from 'react-router'
import type { Backtest, PolicyDetail } from '@/api/generated/types.gen'
import { RequestFailed } from '@/api/problem'
import { ProblemLine } from '@/components/problem-panel'
import { SkeletonRows } from '@/components/states'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Textarea } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { PermittedButton } from '@/features/access/permitted-button'
import { paths } from '@/lib/paths'
import { usePublish } from './api'
import { BacktestHead, Counts, Lacking, Meaning, Warnings } from './backtest-result'
import { backtestQuery, daysAgo, isDone, isJudged, useStartBacktest } from './backtests-api'

const WINDOW_DAYS = 7

type PublishProps = {
  project: string
  policy: PolicyDetail
  version: number
  variant?: 'primary' | 'secondary'
}

/** Puts a version in force. What it would have meant in the last week, where it holds, is shown before. */
export function PublishButton({ project, policy, version, variant = 'primary' }: PublishProps) {
  const [open, setOpen] = useState(false)
  const start = useStartBacktest(project)
  const begin = () => {
    setOpen(true)
    start.mutate({
      policy_id: policy.id,
      version,
      since: daysAgo(WINDOW_DAYS),
      everywhere: policy.project === null,
    })
  }
  return (
    <>
      <Button variant={variant} onClick={begin}>
        <Upload aria-hidden />
        Publish version {version}
      </Button>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title={`Publish version ${version} of ${policy.name}?`}
        description="From then on everything is judged by it, also what waits for a person."
        className="w-[min(760px,calc(100vw-32px))]"
      >
        <Form
          project={project}
          policy={policy}
          version={version}
          backtestId={start.data?.id ?? null}
          notStarted={start.error}
          onClose={() => setOpen(false)}
        />
      </Dialog>
    </>
  )
}

type FormProps = {
  project: string
  policy: PolicyDetail
  version: number
  backtestId: string | null
  notStarted: Error | null
  onClose: () => void
}

function Form({ project, policy, version, backtestId, notStarted, onClose }: FormProps) {
  const [note, setNote] = useState('')
  const publish = usePublish(project, policy.id)
  const backtest = useQuery({ ...backtestQuery(backtestId ?? ''), enabled: backtestId !== null })
  const shown = notStarted !== null || (backtest.data !== undefined && isJudged(backtest.data))
  const done = backtest.data !== undefined && isDone(backtest.data)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    publish.mutate(
      { version, note: note.trim() === '' ? null : note.trim(), backtest_id: done ? backtestId : null },
      {
        onSuccess: () => {
          onClose()
          toast(`Version ${version} is in force`)
        },
      },
    )
  }
  return (
    <form onSubmit={submit} noValidate className="contents">
      <DialogBody>
        <section aria-label="Backtest of the last week" className="rounded-md border border-line">
          {backtest.data ? (
            <Found project={project} policy={policy} backtest={backtest.data} />
          ) : notStarted ? (
            <div className="p-3">
              <ProblemLine error={notStarted} />
            </div>
          ) : (
            <SkeletonRows rows={2} />
          )}
        </section>
        <Field label="Why" hint="Shown in the version history.">
          {(wiring) => (
            <Textarea
              {...wiring}
              rows={2}
              maxLength={2000}
              value={note}
              onChange={(event) => setNote(event.target.value)}
            />
          )}
        </Field>
        <ProblemLine error={publish.error} />
        {publish.error instanceof RequestFailed && publish.error.errors.length > 0 ? (
          <ul aria-label="Tests that fail" className="list-disc pl-4 text-dense">
            {publish.error.errors.map((one) => (
              <li key={one.path}>
                {one.path}: {one.message}
              </li>
            ))}
          </ul>
        ) : null}
      </DialogBody>
      <DialogActions>
        <Button onClick={onClose}>Do not publish</Button>
        <PermittedButton
          permission="policy:publish"
          type="submit"
          variant="primary"
          disabled={!shown || publish.isPending}
        >
          {publish.isPending ? 'Publishing' : publishing(shown, done)}
        </PermittedButton>
      </DialogActions>
    </form>
  )
}

const publishing = (shown: boolean, done: boolean): string =>
  done ? 'Publish now' : shown ? 'Publish without a backtest' : 'Waiting for the backtest'

function Found({ project, policy, backtest }: { project: string; policy: PolicyDetail; backtest: Backtest }) {
  return (
    <>
      <BacktestHead project={project} backtest={backtest} />
      <Counts backtest={backtest} />
      <Lacking backtest={backtest} />
      <Warnings backtest={backtest} />
      <div className="flex flex-wrap items-baseline justify-between gap-2 px-4 py-2">
        {isJudged(backtest) && !isDone(backtest) ? (
          <p className="text-ink-2">It did not look at everything, so it does not count for this version.</p>
        ) : (
          <Meaning backtest={backtest} />
        )}
        <Link
          to={`${paths.policy(project, policy.id, 'backtest')}?backtest=${backtest.id}`}
          className="underline"
        >
          See every decision
        </Link>
      </div>
    </>
  )
}
