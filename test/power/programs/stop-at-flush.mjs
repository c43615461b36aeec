// Preloaded (`node --import`, in threads too): stops the filesystem below $MOUNT_POINT without flushing its log, right
// before a folder is flushed, once the file $STOP exists.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { stopFilesystem } from './stop-filesystem.mjs'

const { fsync, fsyncSync } = fs
const isTheOne = fd => fs.fstatSync(fd).isDirectory() && fs.existsSync(process.env.STOP)

fs.fsyncSync = fd => {
  if (isTheOne(fd)) stopFilesystem(process.env.MOUNT_POINT)
  fsyncSync(fd)
}

/** The flushes of files that are under way: they end before the filesystem is stopped. */
let files = Promise.resolve()
fs.fsync = (fd, done) => {
  const flush = () => new Promise(resolve => fsync(fd, error => resolve(done(error))))
  if (!isTheOne(fd)) files = flush()
  else {
    files.then(() => {
      stopFilesystem(process.env.MOUNT_POINT)
      return flush()
    })
  }
}
syncBuiltinESMExports()
