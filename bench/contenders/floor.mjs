import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { encodeState } from 'sandbox-state'

export const about =
  'the minimum of system calls for a durable replacement of the same bytes: open, write, fsync, close, rename, fsync of ' +
  'the folder; for a read, readFileSync and JSON.parse. No lock, no check, no history'

export const version = () => 'node:fs'

/** What the store writes for a sandbox in each state. */
export const TEXTS = Object.fromEntries(
  ['ready', 'running', 'paused', 'stopped'].map(state => [state, encodeState(exampleState(state))]),
)

export function exampleState(state) {
  return {
    state,
    blockIndex: 1,
    guestMemoryBlockSize: 128,
    guestMemoryHotplugProbe: false,
    cgroupPath: '/kata/sandbox',
    persistVersion: 0,
  }
}

/** What the store writes for a new sandbox. */
export const FIRST_TEXT = TEXTS.ready

export function open(root) {
  /** By id: each sandbox's paths, joined once. */
  const folders = new Map()
  return {
    create(id) {
      mkdirSync(folderOf(id).path, 0o700)
      replace(id, TEXTS.ready)
      flush(root)
    },
    transition(id, _from, to) {
      replace(id, TEXTS[to])
    },
    increment(id) {
      replace(id, TEXTS.running)
    },
    read: id => JSON.parse(readFileSync(folderOf(id).file, 'utf8')),
    delete(id) {
      const { path, file } = folderOf(id)
      unlinkSync(file)
      flush(path)
      rmdirSync(path)
    },
    list() {
      let count = 0
      for (const id of readdirSync(root)) {
        JSON.parse(readFileSync(join(root, id, 'state.json'), 'utf8'))
        count++
      }
      return count
    },
    close() {},
  }

  function replace(id, text) {
    const { path, file, temporary } = folderOf(id)
    const fd = openSync(temporary, 'w', 0o600)
    writeSync(fd, text)
    fsyncSync(fd)
    closeSync(fd)
    renameSync(temporary, file)
    flush(path)
  }

  function flush(folder) {
    const fd = openSync(folder, 'r')
    fsyncSync(fd)
    closeSync(fd)
  }

  function folderOf(id) {
    let folder = folders.get(id)
    if (folder === undefined) {
      const path = join(root, id)
      const file = join(path, 'state.json')
      folder = { path, file, temporary: `${file}.tmp` }
      folders.set(id, folder)
    }
    return folder
  }
}
