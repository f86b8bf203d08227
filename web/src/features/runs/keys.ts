export const runKeys = {
  /** Everything that lists runs of a project. */
  listsOf: (project: string) => ['runs', project] as const,
  run: (id: string) => ['run', id] as const,
  steps: (id: string) => ['run', id, 'steps'] as const,
  step: (id: string, stepId: string) => ['run', id, 'step', stepId] as const,
  frames: (id: string, stepId: string) => ['run', id, 'frames', stepId] as const,
  stepCalls: (id: string, stepId: string) => ['run', id, 'step-calls', stepId] as const,
  calls: (id: string) => ['run', id, 'calls'] as const,
  events: (id: string) => ['run', id, 'events'] as const,
  artifacts: (id: string) => ['run', id, 'artifacts'] as const,
}
