import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Everything at and below a folder, with all that a change of it would alter: content, rights, owner, times, inode. */
export function picture(folder: string): Record<string, string> {
  return Object.fromEntries(pathsBelow(folder).map(path => [path, describe(path)]))
}

/** Links are not followed. */
function pathsBelow(path: string): string[] {
  const names = lstatSync(path).isDirectory() ? readdirSync(path) : []
  return [path, ...names.flatMap(name => pathsBelow(join(path, name)))]
}

function describe(path: string): string {
  const stat = lstatSync(path, { bigint: true })
  const { mode, uid, gid, size, ino, nlink, mtimeNs, ctimeNs } = stat
  const isReadable = stat.isFile() && size < 100_000n && (mode & 0o400n) !== 0n
  const content = isReadable ? readFileSync(path, 'latin1') : ''
  const target = stat.isSymbolicLink() ? readlinkSync(path) : ''
  return [mode, uid, gid, size, ino, nlink, mtimeNs, ctimeNs, target, content].join(' ')
}
