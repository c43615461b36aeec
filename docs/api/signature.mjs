import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * A hash of every declaration that a declaration file leads to, with its comments: it changes when what the reference
 * is made of may have changed.
 * @param {string} entry such as `dist/index.d.ts`
 */
export function signatureOf(entry) {
  const texts = new Map()
  const visit = path => {
    if (texts.has(path)) return
    const text = readFileSync(path, 'utf8')
    texts.set(path, text)
    for (const [, target] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g)) {
      visit(resolve(dirname(path), `${target}.d.ts`))
    }
  }
  visit(resolve(entry))
  const hash = createHash('sha256')
  for (const text of [...texts.values()].sort()) hash.update(text)
  return hash.digest('hex').slice(0, 16)
}
