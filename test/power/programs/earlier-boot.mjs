// Preloaded (`node --import`): the kernel that this process runs on is one that ended with the power cut.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { readFileSync } = fs
fs.readFileSync = (path, ...rest) =>
  path === '/proc/sys/kernel/random/boot_id'
    ? '00000000-0000-4000-8000-000000000000\n'
    : readFileSync(path, ...rest)
syncBuiltinESMExports()
