import { Plus, X } from 'lucide-react'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input, Select, Textarea } from '@/components/ui/input'
import { type Draft, draftOf } from './draft'
import { kindOf, type Schema } from './schema'

const LONG_TEXT = 120

type NodeProps = {
  schema: Schema
  name: string
  path: string
  required: boolean
  draft: Draft
  errors: ReadonlyMap<string, string>
  onChange: (draft: Draft) => void
}

type SchemaFieldsProps = Pick<NodeProps, 'schema' | 'draft' | 'errors' | 'onChange'> & { path?: string }

/** The fields of an object schema, one below the other; an object without declared properties is one field of JSON. */
export function SchemaFields({ schema, draft, errors, onChange, path = '' }: SchemaFieldsProps) {
  if (kindOf(schema) === 'json' && schema.open) {
    return (
      <TextField
        schema={schema}
        name={schema.title ?? 'Input'}
        path={path}
        required={false}
        draft={draft}
        errors={errors}
        onChange={onChange}
      />
    )
  }
  const values = draft as { readonly [name: string]: Draft }
  return schema.properties.map(([name, part, required]) => (
    <SchemaField
      key={name}
      schema={part}
      name={part.title ?? name}
      path={path === '' ? name : `${path}.${name}`}
      required={required}
      draft={values[name] ?? draftOf(part)}
      errors={errors}
      onChange={(next) => onChange({ ...values, [name]: next })}
    />
  ))
}

function SchemaField(props: NodeProps) {
  switch (kindOf(props.schema)) {
    case 'object':
      return <ObjectField {...props} />
    case 'array':
      return <ArrayField {...props} />
    case 'boolean':
      return <BooleanField {...props} />
    default:
      return <TextField {...props} />
  }
}

function ObjectField({ schema, name, path, draft, errors, onChange }: NodeProps) {
  return (
    <fieldset className="grid gap-3 border-l-2 border-line pl-3">
      <legend className="mb-1 font-medium">{name}</legend>
      {schema.description ? <p className="text-dense text-ink-3">{schema.description}</p> : null}
      <SchemaFields schema={schema} draft={draft} errors={errors} onChange={onChange} path={path} />
    </fieldset>
  )
}

function ArrayField({ schema, name, path, draft, errors, onChange }: NodeProps) {
  const items = draft as readonly Draft[]
  const { items: part } = schema
  if (!part) return null
  const error = errors.get(path)
  return (
    <fieldset className="grid gap-2 border-l-2 border-line pl-3">
      <legend className="mb-1 font-medium">{name}</legend>
      {schema.description ? <p className="text-dense text-ink-3">{schema.description}</p> : null}
      {items.map((item, place) => (
        <div key={place} className="flex items-start gap-2">
          <div className="grid min-w-0 flex-1 gap-2">
            <SchemaField
              schema={part}
              name={`${name} ${place + 1}`}
              path={`${path}.${place}`}
              required
              draft={item}
              errors={errors}
              onChange={(next) => onChange(items.map((old, at) => (at === place ? next : old)))}
            />
          </div>
          <Button
            variant="ghost"
            size="icon"
            aria-label={`Remove ${name} ${place + 1}`}
            onClick={() => onChange(items.filter((_, at) => at !== place))}
          >
            <X aria-hidden />
          </Button>
        </div>
      ))}
      <Button size="sm" className="justify-self-start" onClick={() => onChange([...items, draftOf(part)])}>
        <Plus aria-hidden />
        Add to {name}
      </Button>
      {error ? (
        <p role="alert" className="text-dense text-tx-failed">
          {error}
        </p>
      ) : null}
    </fieldset>
  )
}

function BooleanField({ schema, name, path, draft, errors, onChange }: NodeProps) {
  return (
    <Field label={name} hint={schema.description} error={errors.get(path)}>
      {(wiring) => (
        <input
          {...wiring}
          type="checkbox"
          className="size-4 justify-self-start accent-ink"
          checked={draft === true}
          onChange={(event) => onChange(event.target.checked)}
        />
      )}
    </Field>
  )
}

function TextField({ schema, name, path, required, draft, errors, onChange }: NodeProps) {
  const kind = kindOf(schema)
  const value = String(draft)
  const hint = [schema.description, kind === 'json' ? 'As JSON.' : null].filter(Boolean).join(' ')
  return (
    <Field label={name} hint={hint} required={required} error={errors.get(path)}>
      {(wiring) => {
        const shared = {
          ...wiring,
          value,
          onChange: (event: { target: { value: string } }) => onChange(event.target.value),
        }
        if (kind === 'choice') return <Choice {...shared} schema={schema} required={required} />
        if (kind === 'json')
          return <Textarea {...shared} rows={4} spellCheck={false} className="font-mono text-dense" />
        if (kind === 'number')
          return <Input {...shared} inputMode={schema.type === 'integer' ? 'numeric' : 'decimal'} />
        return isLong(schema, value) ? <Textarea {...shared} rows={3} /> : <Input {...shared} />
      }}
    </Field>
  )
}

const isLong = (schema: Schema, value: string): boolean =>
  value.includes('\n') ||
  String(schema.default ?? '').length > LONG_TEXT ||
  (schema.minLength ?? 0) > LONG_TEXT

function Choice({
  schema,
  required,
  ...rest
}: { schema: Schema; required: boolean } & React.ComponentProps<'select'>) {
  const options = schema.enum ?? []
  return (
    <Select {...rest}>
      {required && rest.value !== '' ? null : <option value="">{required ? 'Choose one' : 'None'}</option>}
      {options.map((option, place) => (
        <option key={JSON.stringify(option)} value={String(place)}>
          {typeof option === 'string' ? option : JSON.stringify(option)}
        </option>
      ))}
    </Select>
  )
}
