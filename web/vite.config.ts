import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const API = process.env.SPARKOPS_API ?? 'http://localhost:8000'
/** Tests of what asks the server or keeps something in the browser. */
const IN_A_DOCUMENT = ['src/**/*.test.tsx', 'src/api/{client,session}.test.ts']

export default defineConfig({
  plugins: [react(), tailwindcss()],
  // The server replaces the placeholder with a fresh nonce in every answer.
  html: { cspNonce: '__CSP_NONCE__' },
  resolve: { alias: { '@': new URL('./src', import.meta.url).pathname } },
  build: {
    target: 'es2022',
    // data: URLs would need a wider content security policy.
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { '/api': { target: API, ws: true } },
  },
  test: {
    restoreMocks: true,
    testTimeout: 20_000,
    // A document costs a second to make: what computes only does without one.
    projects: [
      {
        extends: true,
        test: {
          name: 'pages',
          environment: 'jsdom',
          setupFiles: ['./src/test/setup.ts'],
          include: IN_A_DOCUMENT,
        },
      },
      { extends: true, test: { name: 'plain', include: ['src/**/*.test.ts'], exclude: IN_A_DOCUMENT } },
    ],
  },
})
