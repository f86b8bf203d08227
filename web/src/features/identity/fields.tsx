import { Eye, EyeOff } from 'lucide-react'
import { type ComponentProps, useState } from 'react'
import { RequestFailed } from '@/api/problem'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Input } from '@/components/ui/input'

/** What the server said about one field of a form, as a sentence. */
export function saidAbout(error: unknown, path: string): string | undefined {
  const said =
    error instanceof RequestFailed ? error.errors.find((one) => one.path === path)?.message : undefined
  return said === undefined ? undefined : `${said.charAt(0).toUpperCase()}${said.slice(1)}.`
}

/** An error that is about one of these fields is shown there, and not once more below the form. */
export const elsewhere = (error: unknown, ...paths: string[]): unknown =>
  paths.some((path) => saidAbout(error, path) !== undefined) ? null : error

type PasswordFieldProps = {
  label: string
  value: string
  onChange: (value: string) => void
  autoComplete: 'current-password' | 'new-password'
  error?: string | undefined
  hint?: string
} & Pick<ComponentProps<'input'>, 'autoFocus'>

/** A password that its owner may look at. */
export function PasswordField({ label, value, onChange, hint, error, ...rest }: PasswordFieldProps) {
  const [seen, setSeen] = useState(false)
  return (
    <Field label={label} hint={hint} error={error}>
      {(wiring) => (
        <div className="relative">
          <Input
            {...wiring}
            {...rest}
            type={seen ? 'text' : 'password'}
            required
            maxLength={1024}
            spellCheck={false}
            autoCapitalize="none"
            className="h-9 pr-9"
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
          <Button
            variant="ghost"
            size="icon"
            className="absolute top-1 right-1"
            aria-label={seen ? `Hide ${label.toLowerCase()}` : `Show ${label.toLowerCase()}`}
            aria-pressed={seen}
            onClick={() => setSeen(!seen)}
          >
            {seen ? <EyeOff aria-hidden /> : <Eye aria-hidden />}
          </Button>
        </div>
      )}
    </Field>
  )
}

export const NEW_PASSWORD_HINT =
  'At least 8 characters. Several words together are easy to keep and hard to guess.'
