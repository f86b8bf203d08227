const KEY = 'sparkops-project'

/** The slug of the project that was open last in this browser. */
export const readLastProject = (): string | null => localStorage.getItem(KEY)

export const keepLastProject = (slug: string): void => localStorage.setItem(KEY, slug)
