// Preloaded (`node --import`, in threads too) to take flushes away: $WITHOUT_FSYNC names, separated by commas, the
// kinds that then do nothing: `file`, `folder` (a sandbox's own) and `root` (the folder $STORE_ROOT).
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const without = new Set(process.env.WITHOUT_FSYNC.split(','))
const { fsyncSync } = fs

function kindOf(fd) {
  if (!fs.fstatSync(fd).isDirectory()) return 'file'
  return fs.readlinkSync(`/proc/self/fd/${fd}`) === process.env.STORE_ROOT ? 'root' : 'folder'
}

fs.fsyncSync = fd => {
  if (!without.has(kindOf(fd))) fsyncSync(fd)
}
syncBuiltinESMExports()
