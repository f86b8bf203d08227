import { describe, expect, test } from 'vitest'
import document from '../../openapi.json'
import { APPROVAL_FACE, CALL_FACE, isOver, RUN_FACE, STEP_FACE } from './faces'
import type { Face } from './glyph'

const { schemas } = document.components
const FACES: ReadonlyArray<[name: string, faces: Readonly<Record<string, Face>>, states: readonly string[]]> =
  [
    ['run', RUN_FACE, schemas.RunStatus.enum],
    ['step', STEP_FACE, schemas.StepStatus.enum],
    ['call', CALL_FACE, schemas.CallStatus.enum],
    ['approval', APPROVAL_FACE, schemas.ApprovalStatus.enum],
  ]

describe.each(FACES)('the faces of a %s', (_, faces, states) => {
  test('cover what the API can say, and nothing else', () => {
    expect(Object.keys(faces).sort()).toEqual([...states].sort())
  })

  test('amber is for what waits for a person', () => {
    const amber = Object.entries(faces).filter(([, face]) => face.tone === 'waiting')
    const human = [
      'awaiting_approval',
      'attention',
      'waiting',
      'uncertain',
      'waiting_approval',
      'unknown',
      'pending',
    ]
    expect(amber.map(([state]) => state).filter((state) => !human.includes(state))).toEqual([])
  })
})

test('a run is over when nothing can happen to it any more', () => {
  const over = Object.keys(RUN_FACE).filter((status) => isOver(status as keyof typeof RUN_FACE))
  expect(over.sort()).toEqual(['cancelled', 'denied', 'failed', 'succeeded'])
})
