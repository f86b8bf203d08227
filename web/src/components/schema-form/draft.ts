import { kindOf, type Schema } from './schema'

/**
 * What stands in the form: text as it was typed, so that nothing is lost on the way to a number or to JSON.
 * An empty text is an absent value. A choice is the place of its option in the enum, as text.
 */
export type Draft = string | boolean | readonly Draft[] | { readonly [name: string]: Draft }

export type FieldError = { path: string; message: string }
type Read = { value: unknown; errors: FieldError[] }

/** The draft that shows a value; without one, the default of the schema. */
export function draftOf(schema: Schema, value: unknown = schema.default): Draft {
  switch (kindOf(schema)) {
    case 'boolean':
      return value === true
    case 'choice': {
      const place = schema.enum?.findIndex((option) => same(option, value)) ?? -1
      return place < 0 ? '' : String(place)
    }
    case 'array': {
      const items = schema.items
      return Array.isArray(value) && items ? value.map((item) => draftOf(items, item)) : []
    }
    case 'object': {
      const given = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
      const entries = schema.properties.map(([name, part]) => [
        name,
        draftOf(part, given[name] ?? part.default),
      ])
      return Object.fromEntries(entries) as Draft
    }
    case 'json':
      return value === undefined ? '' : JSON.stringify(value, null, 2)
    default:
      return value === undefined || value === null ? '' : String(value)
  }
}

/** The value of a draft, undefined when absent, and what is wrong with it, each with its path. */
export function readDraft(schema: Schema, draft: Draft, required = true, path = ''): Read {
  switch (kindOf(schema)) {
    case 'boolean':
      return { value: draft === true, errors: [] }
    case 'object':
      return readObject(schema, draft as { [name: string]: Draft }, required, path)
    case 'array':
      return readArray(schema, draft as readonly Draft[], required, path)
    default:
      return readText(schema, draft as string, required, path)
  }
}

const join = (path: string, part: string | number): string => (path === '' ? String(part) : `${path}.${part}`)
const wrong = (path: string, message: string): Read => ({ value: undefined, errors: [{ path, message }] })
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

function readObject(schema: Schema, draft: { [name: string]: Draft }, required: boolean, path: string): Read {
  const entries: [string, unknown][] = []
  const errors: FieldError[] = []
  for (const [name, part, needed] of schema.properties) {
    const read = readDraft(part, draft[name] ?? draftOf(part), needed, join(path, name))
    errors.push(...read.errors)
    if (read.value !== undefined) entries.push([name, read.value])
  }
  // An optional object that nobody filled in is absent, and its own required parts are not missed.
  const untouched = !required && path !== '' && entries.every(([, value]) => value === false)
  return untouched ? { value: undefined, errors: [] } : { value: Object.fromEntries(entries), errors }
}

function readArray(schema: Schema, draft: readonly Draft[], required: boolean, path: string): Read {
  const items = schema.items
  if (!items || (draft.length === 0 && !required)) return { value: undefined, errors: [] }
  const read = draft.map((item, place) => readDraft(items, item, true, join(path, place)))
  const errors = read.flatMap((one) => one.errors)
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
  if (draft.length < minItems) errors.push({ path, message: `Give at least ${minItems}.` })
  if (draft.length > maxItems) errors.push({ path, message: `Give at most ${maxItems}.` })
  return { value: read.map((one) => one.value), errors }
}

function readText(schema: Schema, text: string, required: boolean, path: string): Read {
  if (text.trim() === '') {
    const emptyIsFine =
      kindOf(schema) === 'string' && (schema.minLength ?? 0) === 0 && required && path !== ''
    if (emptyIsFine && schema.default === '') return { value: '', errors: [] }
    return required ? wrong(path, 'This is required.') : { value: undefined, errors: [] }
  }
  switch (kindOf(schema)) {
    case 'choice':
      return { value: schema.enum?.[Number(text)], errors: [] }
    case 'number':
      return readNumber(schema, text, path)
    case 'json':
      return readJson(text, path)
    default:
      return readString(schema, text, path)
  }
}

function readNumber(schema: Schema, text: string, path: string): Read {
  const value = Number(text)
  if (!Number.isFinite(value)) return wrong(path, 'This must be a number.')
  if (schema.type === 'integer' && !Number.isInteger(value))
    return wrong(path, 'This must be a whole number.')
  const { minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below } = schema
  if (minimum !== undefined && value < minimum) return wrong(path, `This must be at least ${minimum}.`)
  if (maximum !== undefined && value > maximum) return wrong(path, `This must be at most ${maximum}.`)
  if (above !== undefined && value <= above) return wrong(path, `This must be more than ${above}.`)
  if (below !== undefined && value >= below) return wrong(path, `This must be less than ${below}.`)
  return { value, errors: [] }
}

function readString(schema: Schema, text: string, path: string): Read {
  const length = [...text].length
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, pattern } = schema
  if (length < minLength) return wrong(path, `This needs at least ${minLength} characters.`)
  if (length > maxLength) return wrong(path, `This may have at most ${maxLength} characters.`)
  if (pattern !== undefined && !matches(pattern, text)) return wrong(path, `This must match ${pattern}.`)
  return { value: text, errors: [] }
}

/** A pattern that this browser cannot read is left to the server. */
function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(text)
  } catch {
    return true
  }
}

function readJson(text: string, path: string): Read {
  try {
    return { value: JSON.parse(text) as unknown, errors: [] }
  } catch (error) {
    return wrong(path, `This is not valid JSON: ${error instanceof Error ? error.message : error}`)
  }
}
