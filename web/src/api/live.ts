import type { Event } from './generated/types.gen'
import { mergeEvents, reconnectDelay, type StreamPiece } from './live-merge'

/** `idle`: nobody listens. `offline`: no connection for so long that the page must not be taken for current. */
export type LivePhase = 'idle' | 'connecting' | 'live' | 'reconnecting' | 'offline'
export type LiveState = { phase: LivePhase; since: number }
export type RunListener = { onEvents?: (events: Event[]) => void; onText?: (piece: StreamPiece) => void }
/** What a project's watchers are told of. */
const LISTS = ['runs', 'approvals']

type Frame = {
  topic?: string
  seq?: number
  subscribed?: boolean
  events?: Event[]
  changed?: string[]
  stream?: StreamPiece
  ping?: number
  error?: { code: string; detail: string }
}
type Topic = {
  seq: number | null
  askedAgainAt: number | null
  runs: Set<RunListener>
  projects: Set<(changed: string[]) => void>
}
type Outside = { getTicket: () => Promise<string>; connect: (ticket: string) => WebSocket }

const OFFLINE_AFTER_MS = 20_000
/** The server says something at least every 20 s. */
const SILENCE_MS = 45_000
const LINGER_MS = 2000

/** The one live connection of this page: topics in, events out, without a gap and without a duplicate. */
export class Live {
  private readonly outside: Outside
  private readonly topics = new Map<string, Topic>()
  private readonly watchers = new Set<() => void>()
  private state: LiveState = { phase: 'idle', since: Date.now() }
  private socket: WebSocket | null = null
  private opening = false
  private failures = 0
  private retry: ReturnType<typeof setTimeout> | undefined
  private silence: ReturnType<typeof setTimeout> | undefined
  private despair: ReturnType<typeof setTimeout> | undefined

  constructor(outside: Outside) {
    this.outside = outside
  }

  readonly read = (): LiveState => this.state

  readonly watch = (watcher: () => void): (() => void) => {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }

  /** Hear every event of a run after `since`, each once and in order, until the returned function is called. */
  listenToRun(runId: string, since: number, listener: RunListener): () => void {
    const topic = this.topic(`run:${runId}`)
    // A later listener with an older place would get a gap: it reads its past by itself and shares what comes.
    topic.seq ??= since
    topic.runs.add(listener)
    return this.joined(`run:${runId}`, () => topic.runs.delete(listener))
  }

  /** Hear that something in a project's lists has changed. */
  listenToProject(slug: string, onChanged: (changed: string[]) => void): () => void {
    const topic = this.topic(`project:${slug}`)
    topic.projects.add(onChanged)
    return this.joined(`project:${slug}`, () => topic.projects.delete(onChanged))
  }

  /** Try at once instead of waiting for the next turn, as when the machine is back on the network. */
  readonly retryNow = (): void => {
    if (this.socket || this.opening || this.topics.size === 0) return
    clearTimeout(this.retry)
    void this.open()
  }

  /** Doubt the connection, as when the machine says that it has lost the network: make a new one if that works. */
  readonly doubt = (): void => this.socket?.close()

  /** End the connection and forget all topics: the user has signed out. */
  close(): void {
    this.topics.clear()
    this.hangUp()
  }

  private topic(name: string): Topic {
    const found = this.topics.get(name)
    if (found) return found
    const made: Topic = { seq: null, askedAgainAt: null, runs: new Set(), projects: new Set() }
    this.topics.set(name, made)
    return made
  }

  private joined(name: string, leave: () => void): () => void {
    const topic = this.topics.get(name)
    if (topic && topic.runs.size + topic.projects.size === 1) this.subscribe(name, topic)
    if (!this.socket && !this.opening) void this.open()
    return () => {
      leave()
      if (!topic || topic.runs.size + topic.projects.size > 0 || this.topics.get(name) !== topic) return
      this.topics.delete(name)
      this.send({ unsub: name })
      setTimeout(() => this.topics.size === 0 && this.hangUp(), LINGER_MS)
    }
  }

  private subscribe(name: string, topic: Topic): void {
    this.send(topic.seq === null ? { sub: name } : { sub: name, since: topic.seq })
  }

  private send(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  private async open(): Promise<void> {
    this.opening = true
    if (this.state.phase === 'idle') this.become('connecting')
    this.despair ??= setTimeout(() => this.become('offline'), OFFLINE_AFTER_MS)
    try {
      const ticket = await this.outside.getTicket()
      if (this.topics.size > 0) this.attach(this.outside.connect(ticket))
      else this.hangUp()
    } catch {
      this.tryLater()
    } finally {
      this.opening = false
    }
  }

  private attach(socket: WebSocket): void {
    this.socket = socket
    socket.onopen = () => {
      this.failures = 0
      clearTimeout(this.despair)
      this.despair = undefined
      this.become('live')
      this.heard()
      for (const [name, topic] of this.topics) this.subscribe(name, topic)
    }
    socket.onmessage = (message) => {
      this.heard()
      this.receive(JSON.parse(String(message.data)) as Frame)
    }
    socket.onclose = () => {
      if (this.socket !== socket) return
      this.socket = null
      clearTimeout(this.silence)
      this.tryLater()
    }
  }

  private receive(frame: Frame): void {
    const topic = frame.topic === undefined ? undefined : this.topics.get(frame.topic)
    if (!topic || frame.topic === undefined) return
    if (frame.events) this.take(frame.topic, topic, frame.events)
    if (frame.stream) for (const listener of topic.runs) listener.onText?.(frame.stream)
    // What a page read before this, or before a cut, may be older than what happened meanwhile.
    const changed = frame.subscribed ? LISTS : frame.changed
    if (changed) for (const onChanged of topic.projects) onChanged(changed)
  }

  private take(name: string, topic: Topic, events: Event[]): void {
    const merged = mergeEvents(topic.seq ?? 0, events)
    if (merged.gap && topic.askedAgainAt !== topic.seq) {
      topic.askedAgainAt = topic.seq
      this.send({ unsub: name })
      this.subscribe(name, topic)
      return
    }
    // Asked again from here and got the same: there is nothing in between.
    const fresh = merged.gap ? events.filter((event) => event.seq > (topic.seq ?? 0)) : merged.fresh
    topic.seq = fresh.at(-1)?.seq ?? topic.seq
    if (fresh.length > 0) for (const listener of topic.runs) listener.onEvents?.(fresh)
  }

  private tryLater(): void {
    if (this.topics.size === 0) {
      this.hangUp()
      return
    }
    if (this.state.phase === 'live') this.become('reconnecting')
    this.despair ??= setTimeout(() => this.become('offline'), OFFLINE_AFTER_MS)
    clearTimeout(this.retry)
    this.retry = setTimeout(() => void this.open(), reconnectDelay(this.failures, Math.random))
    this.failures += 1
  }

  private heard(): void {
    clearTimeout(this.silence)
    this.silence = setTimeout(() => this.socket?.close(), SILENCE_MS)
  }

  private hangUp(): void {
    for (const timer of [this.retry, this.silence, this.despair]) clearTimeout(timer)
    this.despair = undefined
    const socket = this.socket
    this.socket = null
    socket?.close()
    this.become('idle')
  }

  private become(phase: LivePhase): void {
    if (this.state.phase === phase) return
    this.state = { phase, since: Date.now() }
    for (const watcher of this.watchers) watcher()
  }
}
