import type { Halt, NewHalt } from '@/api/generated/types.gen'

/** What is to be halted, and what it is called. */
export type Target =
  | { scope: 'installation' }
  | { scope: 'project'; project: string }
  | { scope: 'workflow'; id: string; name: string }

export type Switch = { kind: Halt['kind']; target: Target }

/** `the project weather` */
export function targetName(target: Target): string {
  switch (target.scope) {
    case 'installation':
      return 'the whole installation'
    case 'project':
      return `the project ${target.project}`
    case 'workflow':
      return `the workflow ${target.name}`
  }
}

export function haltTarget(halt: Pick<Halt, 'scope' | 'project' | 'workflow'>): string {
  switch (halt.scope) {
    case 'installation':
      return 'The whole installation'
    case 'project':
      return `The project ${halt.project}`
    case 'workflow':
      return `The workflow ${halt.workflow?.name ?? ''}`
  }
}

/** What has to be typed before a stop is ordered: the name of what it stops. null: nothing. */
export function confirmation({ kind, target }: Switch): string | null {
  if (kind === 'pause') return null
  return target.scope === 'project' ? target.project : 'stop everything'
}

/** What a switch does, a sentence each. */
export function consequences({ kind, target }: Switch): readonly string[] {
  const back = 'Nothing is forgotten. Runs keep their place and their results, and go on when it is released.'
  if (kind === 'stop') {
    return [
      'Nothing new starts: queued runs and ready steps are held.',
      'No further model or tool call leaves once it is confirmed.',
      'A call that is already under way cannot be called back; its answer is recorded.',
      back,
    ]
  }
  return [
    target.scope === 'workflow'
      ? 'No run of it starts a further step, and new runs queue.'
      : 'No further step starts, and new runs wait.',
    'Steps that run go on to their end, with the calls that they make.',
    back,
  ]
}

export function orderOf({ kind, target }: Switch, reason: string): NewHalt {
  return {
    kind,
    scope: target.scope,
    reason,
    ...(target.scope === 'project' ? { project: target.project } : {}),
    ...(target.scope === 'workflow' ? { workflow_id: target.id } : {}),
  }
}
