import type { Call } from '@/api/generated/types.gen'

export type ToolUse = { id: string; tool: string; input: unknown }
export type Said =
  | { role: 'user'; text: string }
  | { role: 'assistant'; text: string; tools: ToolUse[] }
  | { role: 'tool'; id: string; tool: string; output: unknown; isError: boolean }

/** One turn: what was new to the model, and the call in which it answered. */
export type Turn = { call: Call; heard: Said[]; answer: Said | null }
export type Thread = {
  stepId: string
  stepKey: string
  model: string
  system: string | null
  offered: string[]
  turns: Turn[]
}

type Fields = Readonly<Record<string, unknown>>
const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {}
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The conversations of a run, one per step that spoke with a model, in the order they began. */
export function threadsOf(calls: readonly Call[]): Thread[] {
  const threads = new Map<string, Thread>()
  const heardSoFar = new Map<string, number>()
  const asked = calls.filter((call) => call.kind === 'llm').sort((a, b) => a.seq - b.seq)
  for (const call of asked) {
    const request = fields(call.request)
    const thread = threads.get(call.step_id) ?? startThread(call, request)
    threads.set(call.step_id, thread)
    const messages = list(request.messages).map(readMessage)
    const heard = messages.slice(heardSoFar.get(call.step_id) ?? 0)
    const answer = readAnswer(call.response)
    thread.turns.push({ call, heard, answer })
    // The answer of this turn opens the next request; it is shown here already. A failed call is asked again.
    heardSoFar.set(call.step_id, messages.length + (answer ? 1 : 0))
  }
  return [...threads.values()]
}

function startThread(call: Call, request: Fields): Thread {
  return {
    stepId: call.step_id,
    stepKey: call.step_key,
    model: text(request.model) || call.name,
    system: text(request.system) || null,
    offered: list(request.tools).map((tool) => text(fields(tool).name)),
    turns: [],
  }
}

function readMessage(value: unknown): Said {
  const message = fields(value)
  switch (message.role) {
    case 'assistant':
      return { role: 'assistant', text: text(message.text), tools: list(message.tool_calls).map(readToolUse) }
    case 'tool':
      return {
        role: 'tool',
        id: text(message.id),
        tool: text(message.tool),
        output: message.output,
        isError: message.is_error === true,
      }
    default:
      return { role: 'user', text: text(message.text) }
  }
}

function readToolUse(value: unknown): ToolUse {
  const use = fields(value)
  return { id: text(use.id), tool: text(use.tool), input: use.arguments ?? use.raw }
}

function readAnswer(response: unknown): Said | null {
  if (response === null || response === undefined) return null
  const answer = fields(response)
  return { role: 'assistant', text: text(answer.text), tools: list(answer.tool_calls).map(readToolUse) }
}
