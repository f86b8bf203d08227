export type Theme = 'light' | 'dark' | 'system'

const KEY = 'sparkops-theme'
const DARK = '(prefers-color-scheme: dark)'
const listeners = new Set<() => void>()

export function readTheme(): Theme {
  const stored = localStorage.getItem(KEY)
  return stored === 'light' || stored === 'dark' ? stored : 'system'
}

export function chooseTheme(theme: Theme): void {
  if (theme === 'system') localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, theme)
  applyTheme()
  for (const listener of listeners) listener()
}

export function subscribeTheme(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Puts the chosen theme on the document; with `system`, that of the machine. */
export function applyTheme(): void {
  const theme = readTheme()
  const dark = theme === 'dark' || (theme === 'system' && matchMedia(DARK).matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
}

/** Follows the machine's theme and other tabs from now on. */
export function followTheme(): void {
  applyTheme()
  matchMedia(DARK).addEventListener('change', applyTheme)
  addEventListener('storage', (event) => {
    if (event.key === KEY) chooseTheme(readTheme())
  })
}
