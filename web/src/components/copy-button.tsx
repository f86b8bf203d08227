import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import { Button } from './ui/button'

const SHOWN_MS = 1500

type CopyButtonProps = {
  label: string
  text: () => string
  /** What stands on the button, where it takes more than the one word. */
  shown?: string
}

/** Copies a text and says so. */
export function CopyButton({ label, text, shown = 'Copy' }: CopyButtonProps) {
  const [copied, setCopied] = useState(false)
  const copy = () => {
    void navigator.clipboard.writeText(text()).then(() => {
      setCopied(true)
      setTimeout(() => setCopied(false), SHOWN_MS)
    })
  }
  return (
    <Button size="sm" variant="ghost" aria-label={copied ? 'Copied' : label} onClick={copy}>
      {copied ? <Check aria-hidden /> : <Copy aria-hidden />}
      {copied ? 'Copied' : shown}
    </Button>
  )
}
