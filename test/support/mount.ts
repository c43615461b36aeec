import { spawnSync } from 'node:child_process'
import {
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { isErrno } from '#src/errno.js'
import { temporaryFolder } from './root.js'

interface Filesystem {
  readonly name: string
  /** Why it cannot be mounted here; undefined when it can. */
  readonly missing: string | undefined
  /** Mounts one, empty, and gives its folder; it is unmounted when the test ends. */
  mount(): string
}

/** Whether it is being tried what can be mounted: then no test runs that could clean up. */
let probing = false
const probed: (() => void)[] = []

/** Small filesystems that a test can fill up. */
export const smallFilesystems: readonly Filesystem[] = [
  { name: 'tmpfs of 128 kB', mount: () => mountTmpfs('size=128k') },
  { name: 'ext4 of 2 MB', mount: mountExt4 },
].map(filesystem => ({ ...filesystem, missing: whyNot(filesystem.mount) }))

/** A tmpfs with a limited number of files and folders. */
export function mountTmpfs(options: string): string {
  const folder = mountPoint()
  run('mount', '-t', 'tmpfs', '-o', options, 'sandbox-state-test', folder)
  return folder
}

/** A new ext4, on a loop device. */
export function mountExt4(): string {
  const folder = mountPoint()
  const image = imageOf(folder)
  cleanUp(() => rmSync(image, { force: true }))
  closeSync(openSync(image, 'w'))
  truncateSync(image, 2 * 1024 * 1024)
  run('mkfs.ext4', '-q', '-F', image)
  run('mount', '-o', 'loop', image, folder)
  return folder
}

function imageOf(folder: string): string {
  return `${folder}.image`
}

/** Damages the inodes of files and folders on an ext4, as a failing disk does: looking at one is EUCLEAN from now on. */
export function damageInodes(folder: string, ...paths: readonly string[]): void {
  const image = imageOf(folder)
  run('umount', folder)
  for (const path of paths) run('debugfs', '-w', '-R', `set_inode_field /${path} extra_isize 200`, image)
  run('mount', '-o', 'loop,errors=continue', image, folder)
}

export function remount(folder: string, how: 'ro' | 'rw'): void {
  run('mount', '-o', `remount,${how}`, folder)
}

/** Writes a file until nothing more fits; gives what makes some room again. */
export function fill(folder: string): { readonly file: string; leave(bytes: number): void; empty(): void } {
  const file = join(folder, 'filler')
  const fd = openSync(file, 'w')
  for (let size = 64 * 1024; size >= 1; size = Math.floor(size / 2)) {
    const chunk = Buffer.alloc(size, 'x')
    try {
      while (writeSync(fd, chunk) === size);
    } catch {
      // Less than this is left.
    }
  }
  closeSync(fd)
  return {
    file,
    leave: bytes => truncateSync(file, statSync(file).size - bytes),
    empty: () => unlinkSync(file),
  }
}

/** Makes empty files until there is no inode left. @returns their paths */
export function takeInodes(folder: string): string[] {
  const files: string[] = []
  for (let i = 0; ; i++) {
    const file = join(folder, `filler-${i}`)
    try {
      writeFileSync(file, '')
      files.push(file)
    } catch (error) {
      if (!isErrno(error, 'ENOSPC')) throw error
      return files
    }
  }
}

/** Tries it once, outside of any test. */
function whyNot(mount: () => string): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can mount'
  probing = true
  try {
    mount()
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    probing = false
    for (const clean of probed.splice(0).reverse()) clean()
  }
}

function cleanUp(clean: () => void): void {
  if (probing) probed.push(clean)
  else onTestFinished(clean)
}

function mountPoint(): string {
  const folder = probing ? mkdtempSync(join(tmpdir(), 'sandbox-state-test-')) : temporaryFolder()
  if (probing) probed.push(() => rmSync(folder, { recursive: true, force: true }))
  cleanUp(() => void spawnSync('umount', [folder]))
  return folder
}

function run(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (error !== undefined) throw new Error(`${command} cannot be started: ${error.message}`)
  if (status !== 0) throw new Error(`${command} failed: ${stderr.trim()}`)
}
