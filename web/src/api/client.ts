import { previewed, type RequestFailed, readProblem, unreachable } from './problem'
import { readAccessToken, refreshSession } from './session'
import { readViewAs } from './view-as'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
type Value = string | number | boolean | null | undefined | readonly string[]
type Parts = { body?: unknown; path?: unknown; query?: unknown; headers?: unknown }
/** One operation of the API as the generated types describe it. */
type Operation = Parts & { url: string }
/** What a call gives besides method and address: the parts that its operation has. */
type Options<D extends Operation> = Pick<
  D,
  { [K in keyof D]: K extends keyof Parts ? (D[K] extends undefined ? never : K) : never }[keyof D]
> & {
  signal?: AbortSignal
}

/**
 * Call one operation and return its answer.
 *
 * Give the operation's generated types: `request<ListRunsData, ListRunsResponse>('GET', '/api/v1/runs', { query })`.
 * An answer 401 is tried once more with a fresh access token.
 *
 * Throws `RequestFailed` for every answer that is not a success, and when no answer comes.
 */
export async function request<D extends Operation, R>(
  method: Method,
  url: D['url'],
  options: Options<D> = {} as Options<D>,
): Promise<R> {
  const response = await fetchSignedIn(method, url, options)
  return (response.status === 204 ? undefined : await response.json()) as R
}

/** The same for an operation whose answer is bytes. */
export async function requestBlob<D extends Operation>(url: D['url'], options: Options<D>): Promise<Blob> {
  const response = await fetchSignedIn('GET', url, options)
  return response.blob()
}

async function fetchSignedIn(
  method: Method,
  url: string,
  options: Parts & { signal?: AbortSignal },
): Promise<Response> {
  if (readViewAs() !== null && method !== 'GET' && !isOfTheSession(url)) throw previewed(url)
  const address = fill(url, options.path) + queryString(options.query)
  let response = await send(method, address, options)
  if (response.status === 401 && !isAuthentication(url) && (await refreshSession())) {
    response = await send(method, address, options)
  }
  if (!response.ok) throw await failure(response)
  return response
}

/** What a request failed of. Where a second factor has come to be demanded, the session says so from now on. */
async function failure(response: Response): Promise<RequestFailed> {
  const failed = await readProblem(response)
  if (failed.code === 'second-factor-required') await refreshSession()
  return failed
}

/** What the pages themselves live by, whatever is shown. */
const isOfTheSession = (url: string): boolean =>
  url.startsWith('/api/v1/auth/') || url.startsWith('/api/v1/live/')

/** A wrong password or code is an answer, not a session that has run out. */
const isAuthentication = (url: string): boolean =>
  url === '/api/v1/auth/sign-in' || url === '/api/v1/auth/factor'

async function send(
  method: Method,
  address: string,
  options: Parts & { signal?: AbortSignal },
): Promise<Response> {
  const headers = new Headers(clean(options.headers))
  headers.set('accept', 'application/json')
  const token = readAccessToken()
  if (token) headers.set('authorization', `Bearer ${token}`)
  if (options.body !== undefined) headers.set('content-type', 'application/json')
  const body = options.body === undefined ? undefined : JSON.stringify(options.body)
  try {
    return await fetch(address, { method, headers, body, signal: options.signal, credentials: 'same-origin' })
  } catch (error) {
    if (options.signal?.aborted) throw error
    throw unreachable(address)
  }
}

function clean(headers: unknown): Record<string, string> {
  const given = Object.entries((headers ?? {}) as Record<string, Value>)
  return Object.fromEntries(given.filter((pair): pair is [string, string] => typeof pair[1] === 'string'))
}

function fill(url: string, path: unknown): string {
  const values = (path ?? {}) as Record<string, string | number>
  return url.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name] ?? '')))
}

function queryString(query: unknown): string {
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries((query ?? {}) as Record<string, Value>)) {
    if (value === undefined || value === null || value === '') continue
    for (const one of Array.isArray(value) ? value : [value]) pairs.append(name, String(one))
  }
  const text = pairs.toString()
  return text === '' ? '' : `?${text}`
}
