import { libc } from './libc.js'

/** tmpfs and ramfs, as statfs(2) numbers them. */
const MEMORY_FILESYSTEMS: ReadonlySet<number> = new Set([0x01021994, 0x858458f6])

export function isMemoryFilesystem(type: number): boolean {
  return MEMORY_FILESYSTEMS.has(type)
}

/** struct statfs, of which the first word is the type on 64-bit Linux; read at once. */
const statfs = new Uint32Array(64)

/**
 * Whether an open file is on a filesystem in memory, where nothing survives a power cut, flushed or not. Checked each time:
 * another filesystem may be mounted at its path any day. False if unknown.
 */
export function isInMemory(fd: number): boolean {
  return libc.fstatfs !== undefined && libc.fstatfs(fd, statfs) === 0 && isMemoryFilesystem(statfs[0] ?? 0)
}
