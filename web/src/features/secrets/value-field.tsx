import { useState } from 'react'
import { Button } from '@/components/ui/button'
import { Field } from '@/components/ui/field'
import { Textarea } from '@/components/ui/input'
import { cn } from '@/lib/cn'

type ValueFieldProps = { value: string; error: string | undefined; onChange: (value: string) => void }

/** Where a secret is typed or pasted, also one of several lines. It is hidden unless somebody asks to see it. */
export function ValueField({ value, error, onChange }: ValueFieldProps) {
  const [shown, setShown] = useState(false)
  return (
    <Field label="Value" required hint="It is encrypted, and cannot be read here again." error={error}>
      {(wiring) => (
        <div className="grid gap-1">
          <Textarea
            {...wiring}
            rows={3}
            autoComplete="off"
            autoCapitalize="off"
            autoCorrect="off"
            spellCheck={false}
            data-1p-ignore
            className={cn('font-mono', !shown && '[-webkit-text-security:disc]')}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
          <Button
            size="sm"
            variant="ghost"
            className="-ml-2 justify-self-start"
            onClick={() => setShown(!shown)}
          >
            {shown ? 'Hide what is typed' : 'Show what is typed'}
          </Button>
        </div>
      )}
    </Field>
  )
}
