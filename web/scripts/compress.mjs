// Writes a .br and a .gz beside every text file of dist, so that the server never compresses.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

const TEXT = /\.(js|css|svg|json|txt|map)$/
const SMALLEST = 512
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
