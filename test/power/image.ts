import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

/** A kind of filesystem, as made here in an image file. */
export interface Kind {
  readonly name: string
  /** Smallest that its mkfs takes, with some room, in MiB. Images are sparse. */
  readonly size: number
  readonly mkfs: readonly [string, ...string[]]
  /** Whether the kernel can stop it at once without flushing its log. btrfs learns it only in newer kernels. */
  readonly shutdown: boolean
}

const KINDS: readonly Kind[] = [
  { name: 'ext4', size: 64, mkfs: ['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0'], shutdown: true },
  { name: 'xfs', size: 320, mkfs: ['mkfs.xfs', '-q', '-f'], shutdown: true },
  { name: 'btrfs', size: 160, mkfs: ['mkfs.btrfs', '-q', '-f'], shutdown: false },
]

/** Where images lie; by the name, leftovers of a killed run are known. */
const HOME = '/var/tmp'
const NAME = /^sandbox-state-power-(\d+)-/
/** No run lasts as long, in ms: what is older was left behind, even if its pid lives again. */
const OLD = 3_600_000

/** The kinds that can be made, mounted and cut off here. Says which cannot, and why. */
export function kindsHere(): Kind[] {
  return KINDS.filter(kind => {
    const lack = missing(kind)
    if (lack !== undefined) console.warn(`no power is cut on ${kind.name}: ${lack}`)
    return lack === undefined
  })
}

function missing(kind: Kind): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'needs root to mount an image'
  if (!has(kind.mkfs[0])) return `needs ${kind.mkfs[0]}`
  if (!has('losetup')) return 'needs losetup'
  const loop = withoutLoop()
  if (loop !== undefined) return loop
  if (!isKnownToKernel(kind.name)) return `the kernel has no ${kind.name}`
  return undefined
}

function has(program: string): boolean {
  const folders = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`.split(':')
  return folders.some(folder => existsSync(join(folder, program)))
}

function withoutLoop(): string | undefined {
  try {
    attempt('modprobe', 'loop')
    run('losetup', '--find')
    return undefined
  } catch {
    return 'needs a free loop device'
  }
}

function isKnownToKernel(name: string): boolean {
  const known = () => new RegExp(`\\t${name}$`, 'm').test(readFileSync('/proc/filesystems', 'utf8'))
  if (!known()) attempt('modprobe', name)
  return known()
}

/** A filesystem of its own in an image file, gone with the test. */
export class Image {
  readonly mountPoint: string
  private readonly file: string
  private device = ''

  private constructor(
    readonly kind: Kind,
    /** A folder outside of the filesystem. */
    readonly folder: string,
  ) {
    this.mountPoint = join(folder, 'mnt')
    this.file = join(folder, 'disk.img')
  }

  /** Makes the filesystem and mounts it. */
  static make(kind: Kind): Image {
    sweep()
    const folder = mkdtempSync(join(HOME, `sandbox-state-power-${process.pid}-`))
    onTestFinished(() => remove(folder))
    const image = new Image(kind, folder)
    mkdirSync(image.mountPoint)
    writeFileSync(image.file, '')
    truncateSync(image.file, kind.size * 1024 * 1024)
    run(...kind.mkfs, image.file)
    image.mount()
    return image
  }

  /** Mounts it, which replays the filesystem's log where the last mount was cut off. */
  mount(): void {
    this.device = run('losetup', '--find', '--show', this.file)
    run('mount', '-t', this.kind.name, this.device, this.mountPoint)
  }

  async unmount(): Promise<void> {
    // A process that was killed may hold files open for a moment yet.
    for (let tries = 0; !attempt('umount', this.mountPoint); tries++) {
      if (tries === 40) run('umount', this.mountPoint)
      await sleep(50)
    }
    // btrfs would remember the device, and refuse an older copy of it.
    if (this.kind.name === 'btrfs') attempt('btrfs', 'device', 'scan', '--forget', this.device)
    run('losetup', '--detach', this.device)
    this.device = ''
  }

  /** Writes everything, as the kernel does by itself from time to time. */
  flush(): void {
    run('sync', '--file-system', this.mountPoint)
  }

  /**
   * Puts the image back, after the unmount that writes everything, to what the disk held at this instant: what the
   * filesystem has written to the loop device is in the image file, what it still holds in memory is not. Nobody may
   * be at work in the filesystem.
   * @returns to be called when it is unmounted
   */
  async snapshot(): Promise<() => void> {
    const copy = join(this.folder, 'copy.img')
    // The kernel may write on its own while the file is copied; such a copy is of no one instant.
    for (let tries = 0; ; tries++) {
      const before = this.writes()
      run('cp', '--sparse=always', this.file, copy)
      if (before === this.writes()) break
      if (tries === 20) throw new Error(`${this.device} does not come to rest`)
      await sleep(50)
    }
    return () => run('mv', copy, this.file)
  }

  /** What the device was asked to write so far; see the kernel's Documentation/block/stat.rst. */
  private writes(): string {
    const stat = readFileSync(`/sys/block/${basename(this.device)}/stat`, 'latin1')
      .trim()
      .split(/\s+/)
    const [inFlight, flushes] = [stat[8], stat[15]]
    return [stat[4], stat[6], inFlight, flushes].join(' ')
  }
}

/** Ends what a killed run left: mounts, loop devices, images. */
function sweep(): void {
  for (const name of readdirSync(HOME)) {
    const pid = NAME.exec(name)?.[1]
    if (pid === undefined) continue
    const folder = join(HOME, name)
    const age = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    if (age > OLD || !existsSync(`/proc/${pid}`)) remove(folder)
  }
}

function remove(folder: string): void {
  const mountPoint = join(folder, 'mnt')
  if (readFileSync('/proc/mounts', 'utf8').includes(` ${mountPoint} `)) {
    // Lazily, should someone still be in there: the mount and its device then end with the last of them.
    if (!attempt('umount', mountPoint)) attempt('umount', '--lazy', mountPoint)
  }
  for (const file of ['disk.img', 'copy.img']) {
    const devices = existsSync(join(folder, file)) ? run('losetup', '-j', join(folder, file)) : ''
    for (const device of devices.split('\n').flatMap(line => line.split(':', 1))) {
      if (device !== '') attempt('losetup', '--detach', device)
    }
  }
  rmSync(folder, { recursive: true, force: true })
}

function run(program: string, ...args: string[]): string {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  const env = { ...process.env, PATH: path }
  return execFileSync(program, args, { encoding: 'utf8', timeout: 20_000, stdio: 'pipe', env }).trim()
}

function attempt(program: string, ...args: string[]): boolean {
  try {
    run(program, ...args)
    return true
  } catch {
    return false
  }
}
