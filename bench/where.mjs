// Shows where the time of a transition goes: node bench/where.mjs [FOLDER]   (build first; FOLDER is /dev/shm by default)
// Samples the main thread with V8's profiler. Each sample counts for the innermost file of the package on the stack.
import { mkdtempSync, rmSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { join } from 'node:path'
import { openStore } from 'sandbox-state'

const CALLS = 50_000

const root = mkdtempSync(join(process.argv[2] ?? '/dev/shm', 'sandbox-state-where-'))
const store = await openStore(root)
await store.create('a', { cgroupPath: '/kata/a' })
await store.transition('a', 'ready', 'running')
async function transitions(count) {
  for (let i = 0; i < count; i += 2) {
    await store.transition('a', 'running', 'paused')
    await store.transition('a', 'paused', 'running')
  }
}

await transitions(CALLS / 10)
const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.setSamplingInterval', { interval: 50 })
await session.post('Profiler.start')
await transitions(CALLS)
const { profile } = await session.post('Profiler.stop')
session.disconnect()
await store.close()
rmSync(root, { recursive: true })

const nodes = new Map(profile.nodes.map(node => [node.id, node]))
const parents = new Map(profile.nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id])))

/** The file of this package, or the other package, that a sample counts for. */
function placeOf(id) {
  for (let at = id; at !== undefined; at = parents.get(at)) {
    const { url, functionName } = nodes.get(at).callFrame
    const [, file] = /\/dist\/(.*)\.js$/.exec(url) ?? /\/node_modules\/((?!koffi)[^/]+)\//.exec(url) ?? []
    if (file !== undefined) return file.startsWith('file/posix/') ? 'system calls (src/file/posix)' : file
    if (functionName === '(garbage collector)') return 'garbage collector'
  }
  return 'Node itself'
}

const micros = new Map()
for (const [i, id] of profile.samples.entries()) {
  const place = placeOf(id)
  micros.set(place, (micros.get(place) ?? 0) + profile.timeDeltas[i] / CALLS)
}
const rows = [...micros].sort(([, a], [, b]) => b - a)
const total = rows.reduce((sum, [, time]) => sum + time, 0)
for (const [place, time] of [['all', total], ...rows]) {
  if (time >= 0.05)
    console.log(
      `${time.toFixed(1).padStart(6)} µs ${((time / total) * 100).toFixed(0).padStart(4)} %  ${place}`,
    )
}
