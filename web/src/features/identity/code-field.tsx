import type { ComponentProps } from 'react'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'

type CodeFieldProps = {
  value: string
  onChange: (value: string) => void
  label?: string
  hint?: string
  error?: string | undefined
} & Pick<ComponentProps<'input'>, 'autoFocus'>

/** What the authenticator app shows, or a recovery code. */
export function CodeField({
  value,
  onChange,
  label = 'Code',
  hint = 'Six digits of your app, or a recovery code.',
  error,
  autoFocus,
}: CodeFieldProps) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(wiring) => (
        <Input
          {...wiring}
          required
          autoFocus={autoFocus}
          autoComplete="one-time-code"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={64}
          className="h-9 font-mono"
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  )
}
