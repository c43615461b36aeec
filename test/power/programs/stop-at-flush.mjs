// Preloaded (`node --import`, in threads too): stops the filesystem below $MOUNT_POINT without flushing its log, right
// before a folder is flushed, once the file $STOP exists.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { stopFilesystem } from './stop-filesystem.mjs'

const { fsyncSync } = fs
fs.fsyncSync = fd => {
  if (fs.fstatSync(fd).isDirectory() && fs.existsSync(process.env.STOP)) {
    stopFilesystem(process.env.MOUNT_POINT)
  }
  fsyncSync(fd)
}
syncBuiltinESMExports()
