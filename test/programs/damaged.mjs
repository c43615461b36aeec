// Watches as an ordinary user, or on a disk that answers no question about the path `bad`, by scans only. Sends its
// parent each event: damaged.mjs ROOT user|EUCLEAN|EIO
import fs from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { constants } from 'node:os'
import { openStore } from 'sandbox-state'
import { libc } from '../../dist/file/posix/libc.js'

const koffi = createRequire(import.meta.url)('koffi')
const isDamaged = path => /(^|\/)bad(\/|$)/.test(String(path))
const ERRNO = { EUCLEAN: 117, EIO: constants.errno.EIO }

const [root, damage] = process.argv.slice(2)
if (damage === 'user') process.seteuid(65_534)
else {
  for (const name of ['lstatSync', 'statSync', 'openSync']) {
    const call = fs[name]
    fs[name] = (path, ...rest) => {
      if (!isDamaged(path)) return call(path, ...rest)
      throw Object.assign(new Error(`${damage}: damaged`), { code: damage })
    }
  }
  for (const name of ['openat', 'statx']) {
    const call = libc[name]
    libc[name] = (dir, path, ...rest) => {
      if (!isDamaged(path)) return call(dir, path, ...rest)
      koffi.errno(ERRNO[damage])
      return -1
    }
  }
  fs.watch = () => {
    throw new Error('no watch')
  }
  syncBuiltinESMExports()
}
const store = await openStore(root)
for await (const { type, id, error } of store.watch()) {
  process.send([type, id, error?.code].filter(Boolean).join(' '))
}
