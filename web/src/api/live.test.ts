import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { anEvent } from '@/test/factories'
import { Live } from './live'

class FakeSocket {
  static made: FakeSocket[] = []
  readyState: number = WebSocket.CONNECTING
  sent: unknown[] = []
  onopen: (() => void) | null = null
  onclose: (() => void) | null = null
  onmessage: ((message: { data: string }) => void) | null = null
  constructor() {
    FakeSocket.made.push(this)
  }
  send(text: string) {
    this.sent.push(JSON.parse(text))
  }
  close() {
    this.readyState = WebSocket.CLOSED
    this.onclose?.()
  }
  open() {
    this.readyState = WebSocket.OPEN
    this.onopen?.()
  }
  say(frame: unknown) {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }
}

const last = () => {
  const socket = FakeSocket.made.at(-1)
  if (!socket) throw new Error('no connection was made')
  return socket
}

beforeEach(() => {
  vi.useFakeTimers()
  FakeSocket.made = []
})
afterEach(() => vi.useRealTimers())

async function connected() {
  const getTicket = vi.fn(async () => 'ticket')
  const live = new Live({ getTicket, connect: () => new FakeSocket() as unknown as WebSocket })
  const heard: number[] = []
  const leave = live.listenToRun('r', 2, {
    onEvents: (events) => heard.push(...events.map((one) => one.seq)),
  })
  await vi.advanceTimersByTimeAsync(0)
  last().open()
  return { live, heard, leave, getTicket }
}

const batch = (...seqs: number[]) => ({
  topic: 'run:r',
  seq: seqs.at(-1),
  events: seqs.map((seq) => anEvent(seq)),
})

describe('the live connection', () => {
  test('asks for a run from where the page stands, and is live', async () => {
    const { live } = await connected()
    expect(last().sent).toEqual([{ sub: 'run:r', since: 2 }])
    expect(live.read().phase).toBe('live')
  })

  test('after a cut it goes on where it was, with a new ticket, and hears nothing twice', async () => {
    const { live, heard, getTicket } = await connected()
    last().say(batch(3, 4))
    last().close()
    expect(live.read().phase).toBe('reconnecting')
    await vi.advanceTimersByTimeAsync(1000)
    last().open()
    expect(getTicket).toHaveBeenCalledTimes(2)
    expect(last().sent).toEqual([{ sub: 'run:r', since: 4 }])
    last().say(batch(4, 5))
    expect(heard).toEqual([3, 4, 5])
  })

  test('the lists of a project are read again once it is watched, also after a cut', async () => {
    const { live } = await connected()
    const changed = vi.fn()
    live.listenToProject('weather', changed)
    last().say({ topic: 'project:weather', subscribed: true, seq: 0 })
    expect(changed.mock.calls).toEqual([[['runs', 'approvals']]])
    last().close()
    await vi.advanceTimersByTimeAsync(1000)
    last().open()
    last().say({ topic: 'project:weather', subscribed: true, seq: 0 })
    expect(changed).toHaveBeenCalledTimes(2)
  })

  test('asks again when something is missing', async () => {
    const { heard } = await connected()
    last().say(batch(5))
    expect(last().sent.slice(1)).toEqual([{ unsub: 'run:r' }, { sub: 'run:r', since: 2 }])
    last().say(batch(3, 4, 5))
    expect(heard).toEqual([3, 4, 5])
  })

  test('says that it is offline when no connection comes about', async () => {
    const { live } = await connected()
    last().close()
    await vi.advanceTimersByTimeAsync(30_000)
    expect(live.read().phase).toBe('offline')
  })

  test('a connection that falls silent is taken for broken', async () => {
    const { live } = await connected()
    await vi.advanceTimersByTimeAsync(46_000)
    expect(live.read().phase).not.toBe('live')
  })

  test('a doubted connection is made anew where that works', async () => {
    const { live, heard } = await connected()
    live.doubt()
    expect(live.read().phase).toBe('reconnecting')
    await vi.advanceTimersByTimeAsync(1000)
    last().open()
    last().say(batch(3))
    expect([live.read().phase, heard]).toEqual(['live', [3]])
  })

  test('leaving the last topic ends it', async () => {
    const { live, leave } = await connected()
    leave()
    await vi.advanceTimersByTimeAsync(3000)
    expect(last().readyState).toBe(WebSocket.CLOSED)
    expect(live.read().phase).toBe('idle')
  })
})
