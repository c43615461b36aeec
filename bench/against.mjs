// Compares transitions of this build and of another one, which take turns in one run:
//
//     npm run build && node bench/against.mjs OTHER/dist [FOLDER] [ROUNDS]
//
// OTHER/dist is a built checkout of another version (git worktree add, npm ci, npm run build). FOLDER is /dev/shm by
// default. Prints both medians in µs and their ratio.
import { mkdtempSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { median } from './statistics.mjs'

const PER_ROUND = 100

const [other, folder = '/dev/shm', rounds = '100'] = process.argv.slice(2)
if (other === undefined) {
  console.error('usage: node bench/against.mjs OTHER/dist [FOLDER] [ROUNDS]')
  process.exit(2)
}
const ours = fileURLToPath(new URL('../dist', import.meta.url))

async function contender(dist) {
  const { openStore } = await import(pathToFileURL(join(dist, 'index.js')).href)
  const root = mkdtempSync(join(folder, 'sandbox-state-bench-'))
  const store = await openStore(root)
  await store.create('a')
  await store.transition('a', 'ready', 'running')
  return { dist, root, store, times: [] }
}

async function transitions(store, pairs) {
  for (let i = 0; i < pairs; i++) {
    await store.transition('a', 'running', 'paused')
    await store.transition('a', 'paused', 'running')
  }
}

const contenders = [await contender(resolve(other)), await contender(ours)]
for (const { store } of contenders) await transitions(store, 3_000)
for (let round = 0; round < Number(rounds); round++) {
  for (const { store, times } of contenders) {
    const start = performance.now()
    await transitions(store, PER_ROUND / 2)
    times.push(((performance.now() - start) / PER_ROUND) * 1_000)
  }
}
const medians = contenders.map(({ times }) => median(times))
for (const [i, { dist, root, store }] of contenders.entries()) {
  await store.close()
  rmSync(root, { recursive: true })
  console.log(`${dist}: ${medians[i].toFixed(1)} µs`)
}
console.log(`ratio ${(medians[1] / medians[0]).toFixed(2)}`)
