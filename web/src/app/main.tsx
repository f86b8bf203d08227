import './styles.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { RouterProvider } from 'react-router/dom'
import { startSession } from '@/api/session'
import { superviseLive } from '@/api/use-live'
import { followTheme } from '@/lib/theme'
import { Providers } from './providers'
import { router } from './router'

followTheme()
superviseLive()
void startSession()

const root = document.getElementById('root')
if (root === null) throw new Error('index.html has no #root')
createRoot(root).render(
  <StrictMode>
    <Providers>
      <RouterProvider router={router} />
    </Providers>
  </StrictMode>,
)
