import type { PolicyDetail } from '@/api/generated/types.gen'
import { keepDraft, readDraft } from '@/lib/kept-draft'
import { draftKey } from './policy-editor'

/** A policy's text with one more test at its end; null: its tests do not stand there as a plain list. */
export function withCase(text: string, lines: string): string | null {
  const whole = text.endsWith('\n') ? text : `${text}\n`
  if (text.trimStart().startsWith('{')) return null
  const tests = /^tests:[^\S\n]*(.*)$/m.exec(whole)
  if (!tests) return `${whole}tests:\n${lines}`
  if ((tests[1] ?? '').replace(/#.*/, '').trim() !== '') return null
  const below = whole.slice(tests.index + tests[0].length + 1)
  if (/^[^\s#-]/m.test(below)) return null
  const indent = /^( *)- /m.exec(below)?.[1] ?? '  '
  const shift = indent.length - (/^ */.exec(lines)?.[0].length ?? 0)
  return whole + moved(lines, shift)
}

/** Lines so many columns further to the right, or to the left. */
function moved(lines: string, by: number): string {
  const move = (line: string) => (by < 0 ? line.slice(-by) : ' '.repeat(by) + line)
  return lines
    .split('\n')
    .map((line) => (line === '' ? line : move(line)))
    .join('\n')
}

/** Puts a test into the draft of a policy that this browser keeps; false: it has to be put in by hand. */
export function addCase(policy: PolicyDetail, lines: string): boolean {
  const key = draftKey(policy.id)
  const kept = readDraft(key)
  const text = withCase(kept?.text ?? policy.latest.source, lines)
  if (text === null) return false
  return keepDraft(key, { text, base: kept?.base ?? policy.latest.version, at: new Date().toISOString() })
}
