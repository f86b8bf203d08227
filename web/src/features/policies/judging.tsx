import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { request } from '@/api/client'
import type { Project, UpdateProjectData, UpdateProjectResponse } from '@/api/generated/types.gen'
import { ProblemLine } from '@/components/problem-panel'
import { Button } from '@/components/ui/button'
import { Dialog, DialogActions, DialogBody } from '@/components/ui/dialog'
import { Field } from '@/components/ui/field'
import { Input, Select } from '@/components/ui/input'
import { toast } from '@/components/ui/toast'
import { controlKeys, projectQuery } from '@/features/control/api'

type Judging = Pick<Project, 'default_effect' | 'time_zone'>

function useJudge(project: string) {
  const queryClient = useQueryClient()
  return useMutation({
    mutationFn: (body: Judging) =>
      request<UpdateProjectData, UpdateProjectResponse>('PATCH', '/api/v1/projects/{slug}', {
        path: { slug: project },
        body,
      }),
    onSuccess: (changed) => queryClient.setQueryData(controlKeys.project(project), changed),
  })
}

/** The default of the project, and the time zone that the rules go by, with the way to change both. */
export function JudgingFacts({ project }: { project: string }) {
  const [open, setOpen] = useState(false)
  const found = useQuery(projectQuery(project))
  if (!found.data) return null
  return (
    <>
      Default: {found.data.default_effect}. Time zone: {found.data.time_zone}.{' '}
      <Button variant="ghost" size="sm" onClick={() => setOpen(true)}>
        Change
      </Button>
      <Dialog open={open} onOpenChange={setOpen} title="Default and time zone">
        <Form project={found.data} onClose={() => setOpen(false)} />
      </Dialog>
    </>
  )
}

function Form({ project, onClose }: { project: Project; onClose: () => void }) {
  const [effect, setEffect] = useState(project.default_effect)
  const [zone, setZone] = useState(project.time_zone)
  const judge = useJudge(project.slug)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    judge.mutate(
      { default_effect: effect, time_zone: zone.trim() },
      {
        onSuccess: () => {
          onClose()
          toast('Saved: it holds for every decision from now on')
        },
      },
    )
  }
  return (
    <form onSubmit={submit} noValidate className="contents">
      <DialogBody>
        <Field
          label="Where no rule matches"
          hint="Deny: runs begin, steps start, models and tools are called and outputs are handed out only where a rule allows it, each. Publish rules on run.create, step.start, llm.call, tool.call and output first: it holds at once, for running runs too."
        >
          {(wiring) => (
            <Select
              {...wiring}
              value={effect}
              onChange={(event) => setEffect(event.target.value as Project['default_effect'])}
            >
              <option value="allow">Allow</option>
              <option value="deny">Deny</option>
            </Select>
          )}
        </Field>
        <Field label="Time zone" hint="Such as Europe/Berlin. time.hour and time.date in rules go by it.">
          {(wiring) => (
            <Input
              {...wiring}
              autoComplete="off"
              spellCheck={false}
              value={zone}
              onChange={(event) => setZone(event.target.value)}
            />
          )}
        </Field>
        <ProblemLine error={judge.error} />
      </DialogBody>
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" variant="primary" disabled={judge.isPending}>
          {judge.isPending ? 'Saving' : 'Save'}
        </Button>
      </DialogActions>
    </form>
  )
}
