import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { filesystemOf } from './machine.mjs'

const KNOWN = { tmpfs: '/dev/shm', disk: '/var/tmp' }
const IN_MEMORY = new Set(['tmpfs', 'ramfs'])

/** The folders to measure in, from what --fs says, and why others are not. */
export function findPlaces(words) {
  const places = []
  const skipped = []
  for (const word of words) {
    const folder = KNOWN[word] ?? word
    if (!existsSync(folder)) {
      skipped.push(`${word} is left out: there is no ${folder}`)
      continue
    }
    const filesystem = filesystemOf(realpathSync(folder))
    const kind = IN_MEMORY.has(filesystem) ? 'tmpfs' : 'disk'
    if (word in KNOWN && word !== kind) skipped.push(`${word} is left out: ${folder} is on ${filesystem}`)
    else places.push({ kind, folder, filesystem })
  }
  return { places, skipped }
}

const made = new Set()

/** A folder of the benchmark's own. */
export function makeFolder(place, name) {
  const folder = mkdtempSync(join(place.folder, `sandbox-state-bench-${name}-`))
  made.add(folder)
  return folder
}

/** Removes all of them. */
export function removeFolders() {
  // Of 100,000 folders rm(1) takes a fraction of the time of fs.rmSync.
  spawnSync('rm', ['-rf', '--', ...made])
  made.clear()
}
