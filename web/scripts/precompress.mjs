// Puts a .br and a .gz beside every text file of the build, where that saves something.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const DIST = new URL("../dist/", import.meta.url).pathname;
const TEXT = /\.(js|css|svg|txt|json|map)$/;
// Below this a header costs as much as is saved.
const WORTH_IT_BYTES = 1024;

for (const name of readdirSync(DIST, { recursive: true }).filter((one) => TEXT.test(one))) {
  const path = join(DIST, name);
  const bytes = readFileSync(path);
  if (bytes.length < WORTH_IT_BYTES) continue;
  const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, brotli));
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
}
