import '@testing-library/jest-dom/vitest'
import { cleanup } from '@testing-library/react'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { server } from './server'

// jsdom lays nothing out: give every element a size, so that virtual lists have rows to show.
Object.defineProperties(Element.prototype, {
  clientHeight: { configurable: true, get: () => 600 },
  clientWidth: { configurable: true, get: () => 1000 },
})
globalThis.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
}
globalThis.matchMedia ??= () => new EventTarget() as MediaQueryList
Element.prototype.scrollTo ??= () => {}
Range.prototype.getClientRects ??= () => [] as unknown as DOMRectList

/** What a test asked for without saying what answers. */
const unanswered: string[] = []

beforeAll(() =>
  server.listen({
    onUnhandledFrame: async ({ frame }) => {
      const asked = await frame.getUnhandledMessage()
      unanswered.push(asked)
      throw new Error(asked)
    },
  }),
)
afterEach(() => {
  cleanup()
  server.resetHandlers()
  const asked = unanswered.splice(0)
  if (asked.length > 0) throw new Error(`Nothing was said to answer this:\n${asked.join('\n')}`)
})
afterAll(() => server.close())
