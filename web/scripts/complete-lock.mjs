// Makes package-lock.json hold on every registry and machine: run it after each `npm install` that changes the lock.
//
// Where a registry lacks a package for a platform that nobody here uses, npm leaves the entry out and `npm ci` then
// refuses the lock. An entry with a version is enough: it is optional and only fetched on its own platform.
// Addresses of sponsors are dropped, so that the lock names no hosts.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
const before = Object.keys(lock.packages).length;

for (const [place, entry] of Object.entries(lock.packages)) {
  delete entry.funding;
  delete entry.resolved;
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${place}/node_modules/${name}`;
    const top = `node_modules/${name}`;
    if (!lock.packages[nested] && !lock.packages[top]) {
      const dev = entry.dev || place === "" ? { dev: true } : {};
      lock.packages[top] = { version: version.replace(/^[\^~]/, ""), ...dev, optional: true };
    }
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries(sorted);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`${sorted.length - before} entries added\n`);
