import { describe, expect, test } from 'vitest'
import { type Draft, draftOf, readDraft } from './draft'
import { inOrderOf, readSchema } from './schema'
import { serverErrors } from './server-errors'

const schema = readSchema({
  type: 'object',
  required: ['city', 'year', 'place'],
  properties: {
    city: { type: 'string', minLength: 2 },
    year: { type: 'integer', minimum: 2012, maximum: 2015, default: 2015 },
    ratio: { type: 'number', exclusiveMaximum: 1 },
    dry: { type: 'boolean', default: true },
    unit: { enum: ['mm', 'inch', 3], default: 'mm' },
    tags: { type: 'array', items: { type: 'string' }, maxItems: 2 },
    place: {
      type: 'object',
      required: ['lat'],
      properties: { lat: { type: 'number' }, name: { type: 'string' } },
    },
    near: { type: 'object', required: ['lat'], properties: { lat: { type: 'number' } } },
    extra: { description: 'anything' },
  },
})
const filled = draftOf(schema, { city: 'Seattle', place: { lat: 47.6 } }) as { [name: string]: Draft }
const read = (changes: { [name: string]: Draft }) => readDraft(schema, { ...filled, ...changes })

describe('a form filled in', () => {
  test('gives the values with their types; what is empty is absent', () => {
    expect(read({ extra: '{"a": [1]}', tags: ['wet'] })).toEqual({
      value: {
        city: 'Seattle',
        year: 2015,
        dry: true,
        unit: 'mm',
        tags: ['wet'],
        place: { lat: 47.6 },
        extra: { a: [1] },
      },
      errors: [],
    })
  })

  test('begins with the defaults', () => {
    expect(draftOf(schema)).toMatchObject({ year: '2015', dry: true, unit: '0', city: '', tags: [] })
  })

  test('a choice keeps the type of its option', () => {
    expect(read({ unit: '2' }).value).toMatchObject({ unit: 3 })
  })
})

describe('what is wrong is said at its place', () => {
  test.each<[{ [name: string]: Draft }, string, string]>([
    [{ city: '' }, 'city', 'This is required.'],
    [{ city: 'S' }, 'city', 'This needs at least 2 characters.'],
    [{ year: '2014.5' }, 'year', 'This must be a whole number.'],
    [{ year: 'soon' }, 'year', 'This must be a number.'],
    [{ year: '2020' }, 'year', 'This must be at most 2015.'],
    [{ ratio: '1' }, 'ratio', 'This must be less than 1.'],
    [{ tags: ['a', 'b', 'c'] }, 'tags', 'Give at most 2.'],
    [{ tags: ['a', ''] }, 'tags.1', 'This is required.'],
    [{ place: { lat: '', name: '' } }, 'place.lat', 'This is required.'],
  ])('%j', (changes, path, message) => {
    expect(read(changes).errors).toEqual([{ path, message }])
  })

  test('JSON that is none', () => {
    expect(read({ extra: '{' }).errors).toMatchObject([
      { path: 'extra', message: expect.stringMatching(/not valid JSON/) },
    ])
  })

  test('an optional object that nobody touched is not missed', () => {
    expect(read({ near: { lat: '' } })).toMatchObject({ errors: [] })
  })
})

test('errors of the server find their fields', () => {
  const errors = [
    { path: 'input.year', message: '2020 is greater than 2015' },
    { path: 'input.tags[1]', message: 'too short' },
    { path: 'input', message: 'something about the whole' },
  ]
  expect([...serverErrors(errors, schema)]).toEqual([
    ['year', '2020 is greater than 2015'],
    ['tags.1', 'too short'],
  ])
})

test('no schema is no input', () => {
  const none = readSchema(null)
  expect(readDraft(none, draftOf(none), false)).toEqual({ value: undefined, errors: [] })
})

test('fields stand in the order of the text, also nested', () => {
  const stored = {
    properties: { a: { type: 'string' }, box: { properties: { x: {}, 'y.z': {} } }, zip: {}, none: {} },
  }
  const source =
    'input:\n  properties:\n    zip: {}\n    box:\n      properties: {"y.z": {}, x: {}}\n    a: {type: string}\n'
  const ordered = inOrderOf(source, readSchema(stored))
  expect(ordered.properties.map(([name]) => name)).toEqual(['zip', 'box', 'a', 'none'])
  expect(ordered.properties[1]?.[1].properties.map(([name]) => name)).toEqual(['y.z', 'x'])
})
