import {
  closeSync,
  constants,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import koffi from 'koffi'
import { open as openFloor, TEXTS } from './floor.mjs'

export const about =
  'the floor plus most system calls of a change in this format: flock and the record of its holder, the lock folder ' +
  'created and removed, the state read, a check of both locks before the rename, a line of history. No rules, no JSON'

export const version = () => 'node:fs, koffi'

const flock = koffi.load(null).func('int flock(int fd, int operation)')
const [LOCK_EX_NB, LOCK_UN] = [6, 8]
const { O_RDWR, O_CREAT, O_WRONLY, O_EXCL } = constants
const NOTE = Buffer.alloc(512, ' ')
const RELEASED = NOTE.subarray(0, 14)
const LINE = `${'-'.repeat(160)}\n`

export function open(root) {
  const floor = openFloor(root)
  return {
    ...floor,
    transition(id, _from, to) {
      const path = join(root, id)
      const [lockFile, dotLock] = [join(path, 'lock'), join(path, 'state.json.lock')]
      const file = join(path, 'state.json')
      const folder = openSync(path, 'r')
      const lock = openSync(lockFile, O_RDWR | O_CREAT)
      if (flock(lock, LOCK_EX_NB) !== 0) throw new Error('the sandbox is locked')
      look(path, lockFile)
      mkdirSync(dotLock, 0o500)
      readFileSync(file)
      writeSync(lock, NOTE, 0, NOTE.length, 0)
      const temporary = join(path, '.state.json.tmp')
      const next = openSync(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600)
      writeSync(next, TEXTS[to])
      fsyncSync(next)
      look(dotLock, path, lockFile)
      renameSync(temporary, file)
      closeSync(next)
      fsyncSync(folder)
      const history = openSync(join(path, 'history.jsonl'), 'a')
      writeSync(history, LINE)
      closeSync(history)
      rmdirSync(dotLock)
      writeSync(lock, RELEASED, 0, RELEASED.length, 0)
      flock(lock, LOCK_UN)
      closeSync(lock)
      closeSync(folder)
    },
  }
}

/** Makes the calls that check whether the locks are still held, and ignores what they return. */
function look(...paths) {
  for (const path of paths) lstatSync(path)
}
