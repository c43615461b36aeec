// Increments one sandbox as a program would that knows only of proper-lockfile, until it is told to stop, and reports
// how often it did, and whether its lock was taken away: stranger.mjs ROOT ID
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import lockfile from 'proper-lockfile'
import writeFileAtomic from 'write-file-atomic'

const [root, id] = process.argv.slice(2)
const file = join(root, id, 'state.json')
const retries = { retries: 10_000, minTimeout: 1, maxTimeout: 10, factor: 1.5 }
let stopped = false
let count = 0
process.once('message', () => {
  stopped = true
})
process.send('ready')
let robbed

async function increment() {
  const onCompromised = error => {
    robbed = error.message
  }
  const release = await lockfile.lock(file, { retries, onCompromised })
  const state = JSON.parse(readFileSync(file, 'utf8'))
  await writeFileAtomic(file, JSON.stringify({ ...state, blockIndex: state.blockIndex + 1 }))
  count++
  await release()
}

while (!stopped && robbed === undefined) {
  try {
    await increment()
  } catch (error) {
    robbed = error.message
  }
  await sleep(20)
}
while (!stopped) await sleep(20)
process.send({ count, robbed })
process.disconnect()
