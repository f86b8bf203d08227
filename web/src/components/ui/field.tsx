import { type ReactNode, useId } from 'react'

type Wiring = {
  id: string
  'aria-describedby': string | undefined
  'aria-invalid': boolean | undefined
  'aria-required': boolean | undefined
}
type FieldProps = {
  label: string
  hint?: ReactNode
  error?: string | undefined
  required?: boolean
  /** Give the wiring to the control: it ties label, hint and error to it. */
  children: (wiring: Wiring) => ReactNode
}

/** A labelled control with its hint and its error. */
export function Field({ label, hint, error, required, children }: FieldProps) {
  const id = useId()
  const described = [hint ? `${id}-hint` : null, error ? `${id}-error` : null].filter(Boolean).join(' ')
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
        {required ? <span className="ml-1 font-normal text-ink-3">required</span> : null}
      </label>
      {children({
        id,
        'aria-describedby': described || undefined,
        'aria-invalid': error ? true : undefined,
        'aria-required': required || undefined,
      })}
      {hint ? (
        <p id={`${id}-hint`} className="text-dense text-ink-3">
          {hint}
        </p>
      ) : null}
      {error ? (
        <p id={`${id}-error`} role="alert" className="text-dense text-tx-failed">
          {error}
        </p>
      ) : null}
    </div>
  )
}
