// Sets the theme before the first paint, as lib/theme.ts does from then on.
;(() => {
  let chosen = null
  try {
    chosen = localStorage.getItem('sparkops-theme')
  } catch {
    // Storage is closed to us: the machine's theme it is.
  }
  const dark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
