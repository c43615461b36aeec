import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * A hash of a declaration file and those that it exports from, with their comments: it changes when what the reference
 * is made of may have changed, and not with what lies behind.
 * @param {string} entry such as `dist/index.d.ts`
 */
export function signatureOf(entry) {
  const index = readFileSync(entry, 'utf8')
  const targets = Array.from(index.matchAll(/from '(\.[^']+)\.js'/g), ([, target]) => `${target}.d.ts`)
  const hash = createHash('sha256').update(index)
  for (const target of targets) hash.update(readFileSync(join(dirname(entry), target), 'utf8'))
  return hash.digest('hex').slice(0, 16)
}
