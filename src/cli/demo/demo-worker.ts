import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { StateStoreError } from '../../errors.js'
import { openStore } from '../../store.js'
import type { Report, Task } from './protocol.js'

/** A worker that hangs and that nobody kills, since the demo itself was killed, gives up after so many ms. */
const LONGEST_HANG = 60_000

/** By its number: `process.stdout`, once touched, would write asynchronously. */
const STDOUT = 1

const [, , root = ''] = process.argv
const store = await openStore(root, { lockTimeout: 30_000 })

let mode: 'resting' | 'adding' | 'hanging' = 'resting'
let adding = Promise.resolve()

for await (const line of createInterface({ input: process.stdin })) await perform(JSON.parse(line))
mode = 'resting'
await adding
await store.close()

async function perform(task: Task): Promise<void> {
  switch (task.do) {
    case 'add':
      mode = 'adding'
      adding = addAgainAndAgain(task.id)
      break
    case 'rest':
      mode = 'resting'
      await adding
      report({ kind: 'resting' })
      break
    case 'hang':
      mode = 'hanging'
      break
    case 'move':
      report(await move(task))
      break
  }
}

async function addAgainAndAgain(id: string): Promise<void> {
  while (mode !== 'resting') {
    await store.update(id, state => {
      if (mode === 'hanging') hang()
      return { ...state, blockIndex: state.blockIndex + 1 }
    })
    report({ kind: 'added' })
    await nextTurn() // In memory a change never waits, and the next task would not be heard.
  }
}

/** Stands still within the lock, as a process does that the kernel has paused, until it is killed. */
function hang(): never {
  report({ kind: 'inside' })
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LONGEST_HANG)
  throw new Error('nobody came to kill this process')
}

async function move({ id, from, to }: Extract<Task, { do: 'move' }>): Promise<Report> {
  try {
    await store.transition(id, from, to)
    return { kind: 'moved' }
  } catch (error) {
    if (!(error instanceof StateStoreError)) throw error
    return { kind: 'refused', code: error.code, message: error.message }
  }
}

/** Synchronous: what was reported is on its way even if the next thing that happens to this process is kill -9. */
function report(report: Report): void {
  writeSync(STDOUT, `${JSON.stringify(report)}\n`)
}
