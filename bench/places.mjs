import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { filesystemOf } from './machine.mjs'

// Where rows are measured: in folders of this machine, and on filesystems in image files.

const MEMORY = '/dev/shm'
const DISK = '/var/tmp'
const IN_MEMORY = ['tmpfs', 'ramfs']

/** XFS needs at least 300 MB. */
const IMAGE_SIZE = '512M'
/** Without discards the space stays reserved. Without lazy initialization no kernel thread works during the measurement. */
const MKFS = {
  ext4: ['mkfs.ext4', '-q', '-F', '-b', '4096', '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0'],
  xfs: ['mkfs.xfs', '-q', '-f', '-K'],
  btrfs: ['mkfs.btrfs', '-q', '-f', '-K'],
}

/** The names of all places, in the order of measurement. */
export const PLACES = ['tmpfs', 'disk', ...Object.keys(MKFS)]

const folders = new Set()
const mounted = new Set()

/**
 * Prepares a place.
 * @param name one of PLACES, or an existing folder
 * @returns `{ name, title, kind, filesystem, folder }`, where kind is `memory` or `disk`. A place that this machine lacks
 * has `missing`, the reason, instead of a folder
 */
export function openPlace(name) {
  const isImage = name in MKFS
  const place = {
    name,
    title: isImage ? `${name} image` : name,
    kind: name === 'tmpfs' ? 'memory' : 'disk',
    filesystem: name,
  }
  try {
    if (isImage) return { ...place, folder: mountImage(name) }
    const folder = { tmpfs: MEMORY, disk: DISK }[name] ?? name
    const filesystem = filesystemOf(folder)
    const kind = kindOf(filesystem)
    if (name === 'tmpfs' && kind !== 'memory') throw new Error(`${folder} is on ${filesystem}`)
    if (name === 'disk') assertOnDisk()
    const title = folder === name ? `${filesystem} of ${name}` : filesystem
    return { name, title, kind, filesystem, folder }
  } catch (error) {
    return { ...place, missing: error.message }
  }
}

/** A new folder. Its name contains the pid of the benchmark. */
export function makeFolder({ folder }, name) {
  const made = mkdtempSync(join(folder, `sandbox-state-bench-${process.pid}-${name}-`))
  folders.add(made)
  return made
}

/** Unmounts all images, and removes all folders. */
export function closePlaces() {
  for (const point of mounted) {
    // A process that was just killed may still have files open; the mount then ends with the last of them.
    if (spawnSync('umount', [point]).status !== 0) spawnSync('umount', ['--lazy', point])
  }
  mounted.clear()
  for (const folder of folders)
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  folders.clear()
}

function kindOf(filesystem) {
  return IN_MEMORY.includes(filesystem) ? 'memory' : 'disk'
}

function assertOnDisk() {
  const filesystem = filesystemOf(DISK)
  if (kindOf(filesystem) !== 'disk') throw new Error(`${DISK} is on ${filesystem}`)
}

/** Makes a filesystem in a file, and mounts it. */
function mountImage(name) {
  if (process.platform !== 'linux') throw new Error('needs Linux')
  if (process.getuid() !== 0) throw new Error('needs root')
  assertOnDisk()
  const folder = makeFolder({ folder: DISK }, name)
  const image = join(folder, 'image')
  const point = join(folder, 'mounted')
  mkdirSync(point)
  try {
    run('fallocate', '--length', IMAGE_SIZE, image)
    run(...MKFS[name], image)
    run('mount', '--types', name, '--options', 'loop', image, point)
    mounted.add(point)
  } finally {
    // The mount keeps the image open, so its space is freed by the unmount, even after a crash of the benchmark.
    rmSync(image, { force: true })
  }
  return point
}

function run(program, ...args) {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8', env })
  if (error?.code === 'ENOENT') throw new Error(`needs ${program}`)
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(stderr.trim().split('\n')[0] || `${program} failed`)
}
