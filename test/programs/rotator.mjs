// Rotates a sandbox's history some thousand times a second, one line a file, as long as it lives: rotator.mjs ROOT ID
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [root, id] = process.argv.slice(2)
const file = join(root, id, 'history.jsonl')
const line = { ...JSON.parse(readFileSync(file, 'utf8')), from: 'ready' }
const pause = new Int32Array(new SharedArrayBuffer(4))

for (let seq = 2; process.connected; seq++) {
  renameSync(file, `${file}.1`)
  writeFileSync(file, `${JSON.stringify({ ...line, seq })}\n`)
  if (seq === 10) process.send('rotating')
  if (seq % 100 === 0) await new Promise(resolve => setImmediate(resolve))
  Atomics.wait(pause, 0, 0, 0.3)
}
