// Several that lock a file as flock(1) and Kata do, blocking in the kernel, each a few ms, again and again, until it is
// told to stop: kernel-waiters.mjs FILE COUNT MS
import { closeSync, openSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import koffi from 'koffi'

const LOCK_EX = 2
const LOCK_UN = 8
const flock = koffi.load(null).func('int flock(int fd, int operation)')

const [file, count, ms] = process.argv.slice(2)
let stopped = false
let held = 0

async function hold() {
  const fd = openSync(file, 'r+')
  while (!stopped) {
    await new Promise((resolve, reject) =>
      flock.async(fd, LOCK_EX, (error, result) =>
        result === 0 ? resolve() : reject(error ?? new Error('flock')),
      ),
    )
    if (++held === Number(count)) process.send('held')
    await sleep(Number(ms))
    flock(fd, LOCK_UN)
  }
  closeSync(fd)
}

process.once('message', () => {
  stopped = true
})
await Promise.all(Array.from({ length: Number(count) }, hold))
process.send(held, () => process.disconnect())
