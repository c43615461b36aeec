import { writeSync } from 'node:fs'
import { openStore } from '../../store.js'

// A process of the demo: adds 1 to a sandbox's blockIndex, `count` times; or stands still in the middle of a change when
// `count` is `hang`. It prints what it does synchronously, because it may be killed at any time.

/** How long it stands still, in ms, if the demo that should kill it was itself killed. */
const LONGEST_HANG = 60_000

const [, , root = '', id = '', count] = process.argv
const store = await openStore(root, { lockTimeout: 30_000 })
writeSync(1, 'started\n')
const additions = count === 'hang' ? 1 : Number(count)
for (let done = 0; done < additions; done++) {
  await store.update(id, state => {
    if (count === 'hang') hang()
    return { ...state, blockIndex: state.blockIndex + 1 }
  })
  writeSync(1, 'added\n')
}
await store.close()

/** Stands still within the lock, as a process does that the kernel has paused, until it is killed. */
function hang(): never {
  writeSync(1, 'in mid-change\n')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LONGEST_HANG)
  throw new Error('nobody came to kill this process')
}
