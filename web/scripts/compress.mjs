// Writes a .br and a .gz beside every text file of dist, so that the server never compresses, and refuses a build
// whose first page has grown too large.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

const TEXT = /\.(js|css|svg|json|txt|map)$/
const SMALLEST = 512
/** What every first visit loads, as gzip: a chosen limit, so that growth is a decision. */
const ENTRY_LIMIT = 160_000
const DIST = new URL('../dist', import.meta.url).pathname

const brotli = promisify(brotliCompress)
const zip = promisify(gzip)

async function compress(file) {
  const bytes = await readFile(file)
  if (bytes.length < SMALLEST) return
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  await writeFile(`${file}.br`, await brotli(bytes, { params: quality }))
  await writeFile(`${file}.gz`, await zip(bytes, { level: 9 }))
}

// index.html stays as it is: it is a template that the server fills in for each answer.
const names = await readdir(DIST, { recursive: true })
const texts = names.filter((name) => TEXT.test(name)).map((name) => join(DIST, name))
await Promise.all(texts.map(compress))
console.log(`compressed ${texts.length} files`)

const index = await readFile(join(DIST, 'index.html'), 'utf8')
const entries = [...index.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map(([, name]) =>
  join(DIST, name),
)
const sizes = await Promise.all(
  entries.map(async (file) => (await zip(await readFile(file), { level: 9 })).length),
)
const entry = sizes.reduce((sum, size) => sum + size, 0)
console.log(`entry: ${entry} bytes of gzip, at most ${ENTRY_LIMIT}`)
if (entry > ENTRY_LIMIT) process.exitCode = 1
