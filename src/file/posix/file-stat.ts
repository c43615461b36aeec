import { fstatSync, lstatSync, type Stats } from 'node:fs'
import { constants as osConstants } from 'node:os'
import { errno, libc, systemError } from './libc.js'

/** The fields of stat(2) that are used here. `node:fs` takes three times as long, mostly for its dates. */
export interface FileStat {
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly dev: number
  readonly ino: number
  /** ms since 1970, with fractions; negative before. */
  readonly mtimeMs: number
}

const [AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS] = [0x1000, 0x100, 0x7ff]
const STATX_ATTR_MOUNT_ROOT = 0x2000
const S_IFMT = 0o170000

/** struct statx: 256 bytes, the same on every architecture (statx(2)); read at once, as nothing else runs meanwhile. */
const words = new Uint32Array(64)

/** @throws the system's error */
export function statFd(fd: number): FileStat {
  if (libc.statx === undefined) return fstatSync(fd)
  if (libc.statx(fd, '', AT_EMPTY_PATH, STATX_BASIC_STATS, words) === 0) return fromWords()
  throw systemError('fstat')
}

/**
 * Stats an entry of an open folder, a link not followed; undefined when it does not exist.
 * @param path the same file, for systems without statx(2) and for the error
 * @throws the system's error
 */
export function statAt(dirFd: number, name: string, path: string): FileStat | undefined {
  if (libc.statx === undefined) return lstatSync(path, { throwIfNoEntry: false })
  if (libc.statx(dirFd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, words) === 0) return fromWords()
  if (errno() === osConstants.errno.ENOENT) return undefined
  throw systemError('lstat', path)
}

/** Whether an open folder is a mount point, of a filesystem or of another folder (bind mount). Since Linux 5.8. */
export function isMountPoint(fd: number): boolean {
  const isKnown = libc.statx?.(fd, '', AT_EMPTY_PATH, STATX_BASIC_STATS, words) === 0
  return isKnown && (word(2) & STATX_ATTR_MOUNT_ROOT) !== 0
}

function fromWords(): FileStat {
  return {
    mode: word(7) & 0xffff,
    nlink: word(4),
    uid: word(5),
    gid: word(6),
    size: longAt(10),
    dev: deviceOf(word(34), word(35)),
    ino: longAt(8),
    mtimeMs: signedLongAt(28) * 1000 + word(30) / 1e6,
  }
}

/** As `node:fs` and glibc number devices. */
function deviceOf(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + (minor >>> 8) * 2 ** 20 + (major >>> 12) * 2 ** 44
}

function word(index: number): number {
  return words[index] ?? 0
}

function longAt(index: number): number {
  return word(index + 1) * 2 ** 32 + word(index)
}

/** Seconds before 1970 are negative. */
function signedLongAt(index: number): number {
  return (word(index + 1) | 0) * 2 ** 32 + word(index)
}

// The years 0 to 9999: what ISO 8601 writes with four digits. Filesystems allow others, even beyond the range of Date.
const FIRST_TIME = Date.parse('0000-01-01T00:00Z')
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z')

/** When a file was last modified, in ISO 8601. */
export function modifiedAt({ mtimeMs }: Pick<FileStat, 'mtimeMs'>): string {
  return new Date(Math.max(FIRST_TIME, Math.min(mtimeMs, LAST_TIME))).toISOString()
}

export function isRegularFile({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & S_IFMT) === 0o100000
}

export function isDirectory({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & S_IFMT) === 0o040000
}

/** Whether two stats are of the same file. */
export function isSameFile(a: FileStat | undefined, b: FileStat): boolean {
  return a !== undefined && a.ino === b.ino && a.dev === b.dev
}
