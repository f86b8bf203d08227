import { setupServer } from 'msw/node'

/** The API as tests see it: nothing, until a test says what answers. */
export const server = setupServer()

/** The address of an API path as the client asks for it. */
export const api = (path: string): string => `*/api/v1${path}`
