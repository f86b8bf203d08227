import { describe, expect, it } from 'vitest'
import { looksLikeMarkdown, parseInline, parseMarkdown } from './parse'

describe('parseMarkdown', () => {
  it('reads a report', () => {
    const blocks = parseMarkdown(
      '# Rain\n\nIt rained.\nA lot.\n\n| month | mm |\n|---|---:|\n| 2015-12 | 284.5 |\n\n- hot\n- cold\n',
    )
    expect(blocks).toEqual([
      { kind: 'heading', level: 1, text: 'Rain' },
      { kind: 'paragraph', text: 'It rained.\nA lot.' },
      { kind: 'table', head: ['month', 'mm'], aligns: ['start', 'end'], rows: [['2015-12', '284.5']] },
      { kind: 'list', ordered: false, items: ['hot', 'cold'] },
    ])
  })

  it('leaves code as it is and ends with the text when the fence is open', () => {
    expect(parseMarkdown('```sql\n# not a heading\n')).toEqual([{ kind: 'code', text: '# not a heading\n' }])
  })

  it('hides nothing: what it does not know stays text', () => {
    expect(parseMarkdown('<script>alert(1)</script>')).toEqual([
      { kind: 'paragraph', text: '<script>alert(1)</script>' },
    ])
    expect(parseInline('[click](https://example.org)')).toEqual([
      { kind: 'text', text: '[click](https://example.org)' },
    ])
  })

  it('takes a table line without a rule below it as text', () => {
    expect(parseMarkdown('| a | b |')).toEqual([{ kind: 'paragraph', text: '| a | b |' }])
  })

  it('tells numbered lists, rules and text apart', () => {
    expect(parseMarkdown('1. one\n2. two\n\n---\n2 * 3 * 4')).toEqual([
      { kind: 'list', ordered: true, items: ['one', 'two'] },
      { kind: 'rule' },
      { kind: 'paragraph', text: '2 * 3 * 4' },
    ])
  })
})

describe('parseInline', () => {
  it('reads code, strong and emphasis', () => {
    expect(parseInline('a `b*c*` **d** *e* 2*3*4')).toEqual([
      { kind: 'text', text: 'a ' },
      { kind: 'code', text: 'b*c*' },
      { kind: 'text', text: ' ' },
      { kind: 'strong', text: 'd' },
      { kind: 'text', text: ' ' },
      { kind: 'emphasis', text: 'e' },
      { kind: 'text', text: ' 2*3*4' },
    ])
  })
})

describe('looksLikeMarkdown', () => {
  it('wants a heading, a table or code, not just a dash', () => {
    expect(looksLikeMarkdown('# Rain')).toBe(true)
    expect(looksLikeMarkdown('a\n| a |\n|---|\n')).toBe(true)
    expect(looksLikeMarkdown('- SELECT 1')).toBe(false)
    expect(looksLikeMarkdown('#hash')).toBe(false)
  })
})
