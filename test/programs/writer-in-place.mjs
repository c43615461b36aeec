// Writes a sandbox's state in place, as Kata does, again and again as long as it lives: writer-in-place.mjs ROOT ID
// It holds flock(2) on `lock` exclusively all but some microseconds, and the file is torn for more than half of the time.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import koffi from 'koffi'

const LOCK_EX = 2
const LOCK_UN = 8
const flock = koffi.load(null).func('int flock(int fd, int operation)')

const [root, id] = process.argv.slice(2)
const file = join(root, id, 'state.json')
const text = readFileSync(file, 'utf8')
const half = Math.floor(text.length / 2)
const lock = openSync(join(root, id, 'lock'), 'r+')
const never = new Int32Array(new SharedArrayBuffer(4))
const wait = ms => Atomics.wait(never, 0, 0, ms)

flock(lock, LOCK_EX)
for (let writes = 1; process.connected; writes++) {
  const fd = openSync(file, 'w')
  wait(0.5)
  writeSync(fd, text.slice(0, half))
  wait(0.5)
  writeSync(fd, text.slice(half))
  closeSync(fd)
  wait(0.5)
  flock(lock, LOCK_UN)
  flock(lock, LOCK_EX)
  if (writes === 10) process.send('writing')
  if (writes % 100 === 0) await new Promise(resolve => setImmediate(resolve))
}
