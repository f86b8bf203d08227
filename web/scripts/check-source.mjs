// Checks what the linter cannot: which folder may import which, and how long a file may be.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

const SRC = new URL("../src/", import.meta.url).pathname;
const MAX_LINES = 250;
// A folder may import from itself and from those after it. Features do not know each other.
const FLOORS = ["app", "features", "components", "api", "lib"];
const IMPORT = /(?:from|import)\s*\(?\s*"(@\/[^"]+|\.{1,2}\/[^"]+)"/g;

const problems = [];
const files = readdirSync(SRC, { recursive: true })
  .map((name) => name.replaceAll("\\", "/"))
  .filter((name) => /\.tsx?$/.test(name) && !name.startsWith("api/generated/"));

for (const name of files) {
  const text = readFileSync(join(SRC, name), "utf8");
  const lines = text.split("\n").length - 1;
  if (lines > MAX_LINES) problems.push(`${name}: ${lines} lines; at most ${MAX_LINES}`);
  const [floor, feature] = name.split("/");
  if (floor === "test" || /\.test\.tsx?$/.test(name)) continue;
  for (const [, target] of text.matchAll(IMPORT)) {
    const path = target.startsWith("@/") ? target.slice(2) : posix.join(posix.dirname(name), target);
    const [toFloor, toFeature] = path.split("/");
    if (toFloor === "styles") continue;
    if (FLOORS.indexOf(toFloor) < FLOORS.indexOf(floor)) problems.push(`${name}: ${floor} may not import ${path}`);
    if (floor === "features" && toFloor === "features" && toFeature !== feature)
      problems.push(`${name}: features do not import each other (${path})`);
  }
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exit(problems.length > 0 ? 1 : 0);
