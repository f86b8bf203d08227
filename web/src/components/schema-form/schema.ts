/** The part of JSON Schema that a form is made from. Everything else is edited as JSON. */
export type Schema = {
  type?: string | undefined
  title?: string | undefined
  description?: string | undefined
  default?: unknown
  enum?: readonly unknown[] | undefined
  /** Whether values beside the properties are welcome. */
  open: boolean
  properties: ReadonlyArray<readonly [name: string, schema: Schema, required: boolean]>
  items?: Schema | undefined
  minimum?: number | undefined
  maximum?: number | undefined
  exclusiveMinimum?: number | undefined
  exclusiveMaximum?: number | undefined
  minLength?: number | undefined
  maxLength?: number | undefined
  pattern?: string | undefined
  minItems?: number | undefined
  maxItems?: number | undefined
}

export type Kind = 'string' | 'number' | 'boolean' | 'choice' | 'array' | 'object' | 'json'

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const numberAt = (from: Record<string, unknown>, key: string) =>
  typeof from[key] === 'number' ? (from[key] as number) : undefined
const textAt = (from: Record<string, unknown>, key: string) =>
  typeof from[key] === 'string' ? (from[key] as string) : undefined

/** A schema document as it came; null: the workflow takes no input. */
export function readSchema(document: unknown): Schema {
  const given = isRecord(document) ? document : {}
  const required = new Set(Array.isArray(given.required) ? given.required : [])
  const properties = isRecord(given.properties) ? Object.entries(given.properties) : []
  return {
    type: textAt(given, 'type') ?? (properties.length > 0 ? 'object' : undefined),
    title: textAt(given, 'title'),
    description: textAt(given, 'description'),
    default: given.default,
    open: given.additionalProperties === true || isRecord(given.additionalProperties),
    enum: Array.isArray(given.enum) ? given.enum : undefined,
    properties: properties.map(([name, schema]) => [name, readSchema(schema), required.has(name)] as const),
    items: isRecord(given.items) ? readSchema(given.items) : undefined,
    minimum: numberAt(given, 'minimum'),
    maximum: numberAt(given, 'maximum'),
    exclusiveMinimum: numberAt(given, 'exclusiveMinimum'),
    exclusiveMaximum: numberAt(given, 'exclusiveMaximum'),
    minLength: numberAt(given, 'minLength'),
    maxLength: numberAt(given, 'maxLength'),
    pattern: textAt(given, 'pattern'),
    minItems: numberAt(given, 'minItems'),
    maxItems: numberAt(given, 'maxItems'),
  }
}

/** Which control a schema gets. */
export function kindOf(schema: Schema): Kind {
  if (schema.enum) return 'choice'
  switch (schema.type) {
    case 'string':
    case 'boolean':
      return schema.type
    case 'number':
    case 'integer':
      return 'number'
    case 'array':
      return schema.items ? 'array' : 'json'
    case 'object':
      return schema.properties.length > 0 ? 'object' : 'json'
    default:
      return 'json'
  }
}

/**
 * The schema with its properties in the order in which they stand in the text that it was written in: a stored
 * document does not keep it. A property that the text does not name comes last.
 */
export function inOrderOf(source: string, schema: Schema): Schema {
  const start = Math.max(0, source.indexOf('properties'))
  const placeOf = (name: string): number => {
    const escaped = name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    const at = source.slice(start).search(new RegExp(`(^|[\\s{,"'])${escaped}["']?\\s*:`))
    return at < 0 ? Number.POSITIVE_INFINITY : at
  }
  const places = new Map(schema.properties.map(([name]) => [name, placeOf(name)]))
  const properties = [...schema.properties].sort(([a], [b]) => {
    const [left = 0, right = 0] = [places.get(a), places.get(b)]
    return left === right ? 0 : left - right
  })
  return {
    ...schema,
    properties: properties.map(
      ([name, part, required]) => [name, inOrderOf(source, part), required] as const,
    ),
    items: schema.items && inOrderOf(source, schema.items),
  }
}
