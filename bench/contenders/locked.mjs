import { closeSync, constants, mkdirSync, openSync, readFileSync, rmdirSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import koffi from 'koffi'
import { open as openFloor } from './floor.mjs'

export const about =
  'the floor plus the system calls that make it a change of this format: flock and a note of who holds it, the lock ' +
  'folder made and removed, the state read, a line of history appended. No check, no JSON. What ours takes beyond this ' +
  'is what it computes and makes sure of'

export const version = () => 'node:fs, koffi'

const flock = koffi.load(null).func('int flock(int fd, int operation)')
const LOCK_EX_NB = 6
const { O_RDWR, O_CREAT } = constants
const NOTE = Buffer.alloc(512, ' ')
const RELEASED = NOTE.subarray(0, 14)
const LINE = `${'-'.repeat(160)}\n`

export function open(root) {
  const floor = openFloor(root)
  return {
    ...floor,
    transition(id, from, to) {
      const folder = join(root, id)
      const lock = openSync(join(folder, 'lock'), O_RDWR | O_CREAT)
      if (flock(lock, LOCK_EX_NB) !== 0) throw new Error('the sandbox is locked')
      writeSync(lock, NOTE, 0, NOTE.length, 0)
      mkdirSync(join(folder, 'state.json.lock'), 0o500)
      readFileSync(join(folder, 'state.json'))
      floor.transition(id, from, to)
      const history = openSync(join(folder, 'history.jsonl'), 'a')
      writeSync(history, LINE)
      closeSync(history)
      rmdirSync(join(folder, 'state.json.lock'))
      writeSync(lock, RELEASED, 0, RELEASED.length, 0)
      closeSync(lock)
    },
  }
}
