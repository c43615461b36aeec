import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The databases are not dependencies of the package. They come from this folder (`npm --prefix bench/alternatives install`)
 * or from the one that BENCH_ALTERNATIVES names. Without it they take no part.
 */
const FOLDER = resolve(
  process.env.BENCH_ALTERNATIVES ?? fileURLToPath(new URL('./alternatives', import.meta.url)),
)
const require = createRequire(join(FOLDER, 'package.json'))

/** A package of that folder; throws when it is not installed or does not load. */
export function alternative(name) {
  return require(name)
}

/** Its version, for the record. */
export function versionOf(name) {
  for (let folder = dirname(require.resolve(name)); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json')
    if (!existsSync(file)) continue
    const { name: found, version } = JSON.parse(readFileSync(file, 'utf8'))
    if (found === name) return version
  }
  return 'unknown'
}
