import type { Approval, Call, Event, Problem, Run, Step, Tokens, Workflow } from '@/api/generated/types.gen'

// Whole objects of the API, of which a test names only what it is about.

const AT = '2026-11-22T09:41:07Z'

export const aRun = (given: Partial<Run> = {}): Run => ({
  id: 'run-1',
  project: 'weather',
  workflow: { id: 'wf-1', name: 'weather-report', version: 1 },
  status: 'running',
  trigger: 'api',
  input: null,
  output: null,
  error: null,
  created_by: { id: 'user-1', name: 'Ada' },
  created_at: AT,
  started_at: AT,
  finished_at: null,
  priority: 'normal',
  paused_at: null,
  paused_by: null,
  cancel_requested_at: null,
  cost_micros: 0,
  tokens: { input: 0, output: 0 },
  budget: null,
  steps_total: 1,
  steps_by_status: {},
  last_seq: 0,
  scripted: false,
  source: null,
  ...given,
})

export const aStep = (given: Partial<Step> = {}): Step => ({
  id: 'step-1',
  key: 'monthly',
  path: 'monthly',
  type: 'tool',
  position: 0,
  needs: [],
  status: 'running',
  attempt: 1,
  failures: 0,
  crashes: 0,
  ready_at: AT,
  started_at: AT,
  finished_at: null,
  waiting_for: null,
  copied_from: null,
  error: null,
  cost_micros: 0,
  name: 'sql.query',
  ...given,
})

export const aCall = (given: Partial<Call> = {}): Call => ({
  id: 'call-1',
  step_id: 'step-1',
  step_key: 'monthly',
  seq: 1,
  kind: 'tool',
  name: 'sql.query',
  effect_class: 'pure',
  status: 'done',
  request: {},
  response: null,
  error: null,
  usage: null,
  cost_micros: 0,
  sends: 1,
  attempt: 1,
  proposed_at: AT,
  prepared_at: AT,
  finished_at: AT,
  decision: null,
  approval_id: null,
  ...given,
})

export const anEvent = (seq: number, given: Partial<Event> = {}): Event => ({
  seq,
  at: AT,
  kind: 'step.started',
  step_id: 'step-1',
  data: {},
  ...given,
})

export const anApproval = (given: Partial<Approval> = {}): Approval => ({
  id: 'approval-1',
  project: 'weather',
  run_id: 'run-1',
  workflow: { id: 'wf-1', name: 'weather-report', version: 1 },
  step_id: 'step-1',
  step_key: 'consent',
  subject_kind: 'step',
  title: 'Publish the report?',
  reason: null,
  rule: null,
  proposed_request: { pages: 2 },
  status: 'pending',
  requested_by: { id: 'user-1', name: 'Ada' },
  requested_at: AT,
  expires_at: AT,
  decided_by: null,
  decided_at: null,
  comment: null,
  money_micros: null,
  ...given,
})

export const aWorkflow = (
  inputSchema: Record<string, unknown> | null,
  given: Partial<Workflow> = {},
): Workflow => ({
  id: 'wf-1',
  name: 'weather-report',
  project: 'weather',
  description: null,
  latest_version: 3,
  steps_total: 1,
  created_at: AT,
  updated_at: AT,
  max_running_runs: null,
  latest: {
    id: 'version-3',
    version: 3,
    created_at: AT,
    digest: '',
    source: '',
    definition: {},
    input_schema: inputSchema,
    steps: [],
  },
  ...given,
})

export const someTokens = (access = 'fresh'): Tokens => ({
  access_token: access,
  token_type: 'Bearer',
  expires_in: 900,
  user: { id: 'user-1', email: 'ada@example.org', name: 'Ada', is_admin: true },
})

export const aProblem = (
  status: number,
  code: string,
  detail: string,
  more: Partial<Problem> = {},
): Problem => ({
  type: `urn:sparkops:problem:${code}`,
  title: detail,
  status,
  detail,
  instance: '',
  request_id: 'req-1',
  ...more,
})
