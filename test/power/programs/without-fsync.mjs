// Preloaded (`node --import`, in threads too) to take flushes away: $WITHOUT_FSYNC names, separated by commas, the
// kinds that then do nothing: `file`, `owner` (such a file), `folder` (a sandbox's own), `root` ($STORE_ROOT) and `parent`
// (of a new root). Of flushes by AIO `aio` takes away all.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { aio } from '../../../dist/file/posix/aio.js'

const without = new Set(process.env.WITHOUT_FSYNC.split(','))
const root = process.env.STORE_ROOT
const { fsync, fsyncSync } = fs
const { open } = fs.promises

function kindOf(fd) {
  const path = fs.readlinkSync(`/proc/self/fd/${fd}`)
  if (!fs.fstatSync(fd).isDirectory()) return path.endsWith('/owner') ? 'owner' : 'file'
  if (path === root) return 'root'
  return root.startsWith(path) ? 'parent' : 'folder'
}

fs.fsyncSync = fd => {
  if (!without.has(kindOf(fd))) fsyncSync(fd)
}

fs.fsync = (fd, done) => {
  if (without.has(kindOf(fd))) process.nextTick(done, null)
  else fsync(fd, done)
}

fs.promises.open = async (...args) => {
  const handle = await open(...args)
  const sync = handle.sync.bind(handle)
  handle.sync = async () => {
    if (!without.has(kindOf(handle.fd))) await sync()
  }
  return handle
}

if (without.has('aio')) {
  aio.submit = (_context, iocbs) => iocbs.length
  aio.getEvents = (_context, count, events) => {
    for (let i = 0; i < count; i++) events.set([BigInt(i), 0n, 0n, 0n], 4 * i)
    return count
  }
}

syncBuiltinESMExports()
