import type { Problem, ProblemError } from './generated/types.gen'

/** A request that failed, with everything the server said about it. */
export class RequestFailed extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail || problem.title)
    this.name = 'RequestFailed'
    this.problem = problem
  }

  /** The stable end of the problem's type, such as `own-request`. */
  get code(): string {
    return this.problem.type.split(':').at(-1) ?? ''
  }

  get status(): number {
    return this.problem.status
  }

  get errors(): ProblemError[] {
    return this.problem.errors ?? []
  }
}

/** Any thrown value as a problem: a bug in these pages is one, too. */
export function asProblem(error: unknown): Problem {
  if (error instanceof RequestFailed) return error.problem
  const detail = error instanceof Error ? error.message : String(error)
  return problemOf('page-failed', 0, 'This part of the page failed', detail)
}

export function unreachable(path: string): RequestFailed {
  const detail = 'The server does not answer. Check that it is running and that you are connected.'
  return new RequestFailed({
    ...problemOf('unreachable', 0, 'No answer from the server', detail),
    instance: path,
  })
}

/** What is shown as another role sees it is only looked at. */
export function previewed(path: string): RequestFailed {
  const detail = 'You see the pages as another role does. Stop the preview to change something.'
  return new RequestFailed({
    ...problemOf('preview', 0, 'Nothing was sent', detail),
    instance: path,
  })
}

/** The problem in a response; one without a problem document gets a plain one made from its status. */
export async function readProblem(response: Response): Promise<RequestFailed> {
  const requestId = response.headers.get('x-request-id')
  const body: unknown = await response.json().catch(() => null)
  if (isProblem(body)) return new RequestFailed({ ...body, request_id: body.request_id ?? requestId })
  const title = response.statusText || `The server answered ${response.status}`
  const problem = problemOf('unreadable-answer', response.status, title, 'The answer carried no explanation.')
  return new RequestFailed({ ...problem, request_id: requestId })
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'title' in body && 'status' in body && 'type' in body
}

function problemOf(code: string, status: number, title: string, detail: string): Problem {
  return { type: `urn:sparkops:problem:${code}`, status, title, detail, instance: '', request_id: null }
}
