import { fchownSync, fstatSync } from 'node:fs'
import type { SandboxFolder } from './folder.js'

/** Gives a file that was just made to whom the folder belongs: what root makes must not lock the sandbox's owner out. */
export function giveToOwner(fd: number, folder: SandboxFolder): void {
  if (process.geteuid?.() !== 0) return
  const { uid, gid } = fstatSync(folder.fd)
  if (uid !== 0) fchownSync(fd, uid, gid)
}
