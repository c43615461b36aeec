// Preloaded (`node --import`, in threads too): each flush takes so long that changes are made in threads.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const FLUSH_MS = Number(process.env.SLOW_DISK_MS ?? 3)
const never = new Int32Array(new SharedArrayBuffer(4))
const { fsyncSync } = fs

fs.fsyncSync = fd => {
  Atomics.wait(never, 0, 0, FLUSH_MS)
  fsyncSync(fd)
}
syncBuiltinESMExports()
