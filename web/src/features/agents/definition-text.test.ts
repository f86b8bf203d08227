import { describe, expect, it } from 'vitest'
import { definitionText, locate, readDefinition } from './definition-text'

describe('definitionText', () => {
  it('writes the keys as people do and gives the same text for the same definition', () => {
    const text = definitionText({
      tools: ['noop'],
      model: 'scripted',
      instructions: 'Be short.\nAnd kind.\n',
      zoo: 1,
    })
    expect(text).toBe(
      'model: scripted\ninstructions: |\n  Be short.\n  And kind.\ntools:\n  - noop\nzoo: 1\n',
    )
    expect(
      definitionText({ zoo: 1, instructions: 'Be short.\nAnd kind.\n', model: 'scripted', tools: ['noop'] }),
    ).toBe(text)
  })

  it('can be read back', () => {
    const definition = {
      model: 'default',
      instructions: 'a: b # c',
      price: { input_usd_per_million: '0.10' },
    }
    expect(readDefinition(definitionText(definition)).definition).toEqual(definition)
  })
})

describe('readDefinition', () => {
  it('says where the text is not YAML', () => {
    const { definition, problems } = readDefinition('model: default\ntools: [a\n')
    expect(definition).toBeNull()
    expect(problems[0]?.line).toBeGreaterThanOrEqual(2)
  })

  it('refuses what is not a mapping', () => {
    expect(readDefinition('- a').problems[0]?.message).toContain('mapping')
    expect(readDefinition('').problems).toHaveLength(1)
  })
})

describe('locate', () => {
  const text = 'model: foo\ntools:\n  - noop\n  - sql.qury\nscript:\n  turns: []\n'

  it('finds the place of a path', () => {
    const [model, tool] = locate(text, [
      { path: 'model', message: 'no such model' },
      { path: 'tools.1', message: 'no such tool' },
    ])
    expect(model).toMatchObject({ line: 1, column: 8 })
    expect(tool).toMatchObject({ line: 4, column: 5 })
  })

  it('takes the nearest place for a path that is not there', () => {
    expect(locate(text, [{ path: 'script.turns.0.txt', message: 'unknown' }])[0]).toMatchObject({ line: 6 })
    expect(locate(text, [{ path: 'instructions', message: 'missing' }])[0]).toMatchObject({
      line: 1,
      column: 1,
    })
  })
})
