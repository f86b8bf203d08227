import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import { Button } from './ui/button'

const SHOWN_MS = 1500

/** Copies a text and says so. */
export function CopyButton({ label, text }: { label: string; text: () => string }) {
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
      {copied ? 'Copied' : 'Copy'}
    </Button>
  )
}
