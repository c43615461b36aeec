// Swaps what a store is using for links to elsewhere, as fast as it can: swapper.mjs KIND ROOT ID VICTIM
import { lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'

const [kind, root, id, victim] = process.argv.slice(2)
const folder = join(root, id)
const spare = join(root, '.spare')
mkdirSync(spare, { recursive: true })
let made = 0

/** A new link, out of the way. */
function linkTo(target) {
  const path = join(spare, `link-${made++}`)
  symlinkSync(target, path)
  return path
}

const swaps = {
  /** The folder away, a link in its place, and back. */
  folder() {
    const link = linkTo(victim)
    renameSync(folder, join(spare, 'away'))
    renameSync(link, folder)
    renameSync(folder, link)
    renameSync(join(spare, 'away'), folder)
    rmSync(link)
  },
  /** The temporary file while there is one, for a link. */
  temporary() {
    const path = join(folder, '.state.json.tmp')
    if (lstatSync(path).isFile()) renameSync(linkTo(join(victim, 'precious')), path)
  },
  lock: () => file('lock'),
  history: () => file('history.jsonl'),
  state: () => file('state.json'),
  /** The lock folder, for a link to a folder. */
  stateLock() {
    const link = linkTo(join(victim, 'empty'))
    renameSync(join(folder, 'state.json.lock'), join(spare, `lock-${made}`))
    renameSync(link, join(folder, 'state.json.lock'))
    rmSync(join(folder, 'state.json.lock'))
  },
}

/** A file, for a link, and back. */
function file(name) {
  const link = linkTo(join(victim, 'precious'))
  renameSync(join(folder, name), join(spare, name))
  renameSync(link, join(folder, name))
  renameSync(join(spare, name), join(folder, name))
}

let swapped = 0
let running = true
process.once('message', () => {
  running = false
})
process.send('ready')
while (running) {
  for (let i = 0; i < 50; i++) {
    try {
      swaps[kind]()
      swapped++
    } catch {
      // Somebody else was faster.
    }
  }
  await nextTurn()
}
try {
  renameSync(join(spare, 'away'), folder)
} catch {
  // It is where it belongs.
}
process.send(swapped, () => process.disconnect())
