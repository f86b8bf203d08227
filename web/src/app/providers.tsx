import { CSPProvider } from '@base-ui/react/csp-provider'
import { QueryClientProvider } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Toaster } from '@/components/ui/toast'
import { cspNonce } from '@/lib/nonce'
import { queryClient } from './query-client'

export function Providers({ children }: { children: ReactNode }) {
  return (
    <CSPProvider nonce={cspNonce()}>
      <QueryClientProvider client={queryClient}>
        {children}
        <Toaster />
      </QueryClientProvider>
    </CSPProvider>
  )
}
