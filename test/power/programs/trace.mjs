// Preloaded (`node --import`, in threads too) to note each call that changes a filesystem, once it is done, as a line
// of JSON in $TRACE, with inode numbers for files and folders. With $KILL_AT=N the process ends at its Nth line.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename } from 'node:path'
import { libc } from '../../../dist/file/posix/libc.js'

const real = { ...fs }
const realPromises = { ...fs.promises }
const traceFd = real.openSync(process.env.TRACE, 'a+')
const killAt = Number(process.env.KILL_AT ?? 0)

function note(line) {
  real.writeSync(traceFd, `${JSON.stringify({ pid: process.pid, ...line })}\n`)
  if (killAt > 0 && linesOfThisProcess() >= killAt) process.kill(process.pid, 'SIGKILL')
}

/** Its threads count together. */
function linesOfThisProcess() {
  const trace = Buffer.alloc(real.fstatSync(traceFd).size)
  real.readSync(traceFd, trace, 0, trace.length, 0)
  return trace.toString('latin1').split(`{"pid":${process.pid},`).length - 1
}

/** As the kernel takes it: `..` after a link is the parent of where the link leads. */
const folderOf = path => path.slice(0, path.lastIndexOf('/') + 1)
const place = path => ({ dir: real.statSync(folderOf(path)).ino, name: basename(path) })
const inode = path => real.lstatSync(path, { throwIfNoEntry: false })?.ino
const inodeOf = fd => real.fstatSync(fd).ino

fs.openSync = (path, flags, ...rest) => {
  const before = inode(path)
  const fd = real.openSync(path, flags, ...rest)
  if (before === undefined) note({ call: 'create', ...place(path), ino: inodeOf(fd) })
  else if (truncates(flags)) note({ call: 'write', ino: inodeOf(fd) })
  return fd
}

function truncates(flags) {
  return typeof flags === 'number' ? (flags & real.constants.O_TRUNC) !== 0 : /^w/.test(flags ?? 'r')
}

fs.mkdirSync = (path, ...rest) => {
  const first = real.mkdirSync(path, ...rest)
  const recursive = rest[0]?.recursive === true
  if (recursive && first === undefined) return first
  let made = recursive ? first : path
  note({ call: 'mkdir', ...place(made), ino: inode(made) })
  for (const name of path.slice(made.length).split('/').filter(Boolean)) {
    made = `${made}/${name}`
    note({ call: 'mkdir', ...place(made), ino: inode(made) })
  }
  return first
}

fs.writeSync = (fd, ...rest) => {
  const count = real.writeSync(fd, ...rest)
  if (count > 0) note({ call: 'write', ino: inodeOf(fd) })
  return count
}

fs.writeFileSync = (file, ...rest) => {
  real.writeFileSync(file, ...rest)
  note({ call: 'write', ino: typeof file === 'number' ? inodeOf(file) : inode(file) })
}

for (const call of ['fsyncSync', 'fdatasyncSync']) {
  fs[call] = fd => {
    real[call](fd)
    note({ call: 'fsync', ino: inodeOf(fd) })
  }
}

fs.renameSync = (from, to) => {
  real.renameSync(from, to)
  note({ call: 'rename', ...place(to), from: basename(from) })
}

for (const call of ['unlinkSync', 'rmdirSync', 'rmSync']) {
  fs[call] = (path, ...rest) => {
    const before = inode(path)
    real[call](path, ...rest)
    if (before !== undefined) note({ call: 'remove', ...place(path) })
  }
}

fs.promises.open = async (...args) => {
  const handle = await realPromises.open(...args)
  const sync = handle.sync.bind(handle)
  handle.sync = async () => {
    await sync()
    note({ call: 'fsync', ino: inodeOf(handle.fd) })
  }
  return handle
}

// The calls of the C library, by those that Node has.
const traced = { ...fs }
const at = (folder, name) => (folder === -100 ? name : `/proc/self/fd/${folder}/${name}`)
const { linkat, unlinkat } = libc
Object.assign(libc, {
  openat: (folder, name, flags, _type, mode) => traced.openSync(at(folder, name), flags, mode),
  close: fd => traced.closeSync(fd),
  mkdirat: (folder, name, mode) => traced.mkdirSync(at(folder, name), mode),
  unlinkat: (folder, name, flags) => {
    const result = unlinkat(folder, name, flags)
    if (result === 0) note({ call: 'remove', ...place(at(folder, name)) })
    return result
  },
  renameat: (folder, from, toFolder, to) => traced.renameSync(at(folder, from), at(toFolder, to)),
  linkat: (folder, from, toFolder, to, flags) => {
    const result = linkat(folder, from, toFolder, to, flags)
    if (result === 0) note({ call: 'create', ...place(at(toFolder, to)), ino: inode(at(toFolder, to)) })
    return result
  },
  pread: (fd, buffer, size, position) => traced.readSync(fd, buffer, 0, size, position),
  write: (fd, buffer, size) => traced.writeSync(fd, buffer, 0, size),
  pwrite: (fd, buffer, size, position) => traced.writeSync(fd, buffer, 0, size, position),
})

/** For the program itself to say what the store has acknowledged. */
globalThis.noteAcknowledged = acknowledged => note({ call: 'acknowledged', acknowledged })
syncBuiltinESMExports()
