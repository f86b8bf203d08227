// Makes package-lock.json installable everywhere: run it after every change of a dependency.
//
// npm leaves platform packages out of the lock when it cannot see them at install time, and `npm ci`
// then refuses the lock. Each one missing gets an entry with the version its parent asks for. Addresses
// (funding, download) are taken out: where packages come from is the business of each machine.
import { readFile, writeFile } from 'node:fs/promises'

const LOCK = new URL('../package-lock.json', import.meta.url)
const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/

const lock = JSON.parse(await readFile(LOCK, 'utf8'))
let added = 0
for (const entry of Object.values(lock.packages)) {
  delete entry.funding
  delete entry.resolved
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`
    if (lock.packages[path] || !EXACT.test(version)) continue
    lock.packages[path] = { version, dev: true, optional: true }
    added += 1
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
lock.packages = Object.fromEntries(sorted)
await writeFile(LOCK, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`added ${added} platform packages`)
