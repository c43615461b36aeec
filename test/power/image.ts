import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { until } from '../support/wait.js'

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

/** Where images lie: in memory, if there is room. */
const HOME = hasRoom('/dev/shm') ? '/dev/shm' : '/var/tmp'
/** By the name, leftovers of a killed run are known. */
const NAME = /^sandbox-state-power-(\d+)-/
/** No run lasts as long, in ms: what is older was left behind, even if its pid lives again. */
const OLD = 4 * 3_600_000

function hasRoom(folder: string): boolean {
  if (!existsSync(folder)) return false
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize > 1024 ** 3
}

/**
 * The kinds that can be made and mounted here. Says which cannot, and why.
 * @param recorded whether their writes must be recorded, too
 */
export function kindsHere({ recorded = false } = {}): Kind[] {
  return KINDS.filter(kind => {
    const lack = missing(kind, recorded)
    if (lack !== undefined) console.warn(`no power is cut on ${kind.name}: ${lack}`)
    return lack === undefined
  })
}

function missing(kind: Kind, recorded: boolean): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'needs root to mount an image'
  const programs = [kind.mkfs[0], 'losetup', 'nsenter', 'setpriv', 'unshare']
  if (recorded) programs.push('qemu-storage-daemon')
  const lack = programs.find(program => !has(program))
  if (lack !== undefined) return `needs ${lack}`
  if (recorded && !existsSync('/dev/fuse')) return 'needs /dev/fuse'
  if (!attempt('unshare', '--mount', 'true')) return 'needs a mount namespace of its own'
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

/**
 * A filesystem in an image file, gone with the test. It is mounted in a mount namespace of its own: otherwise any process
 * that is started with a new namespace would keep it mounted there.
 */
export class Image {
  readonly file: string
  /** As processes in the namespace see it. */
  readonly mountPoint: string
  /** What a command begins with that is to run in the namespace. */
  readonly inside: readonly [string, ...string[]]
  private device = ''

  private constructor(
    readonly kind: Kind,
    /** A folder outside of the filesystem. */
    readonly folder: string,
    private readonly namespace: ChildProcess,
  ) {
    this.file = join(folder, 'disk.img')
    this.mountPoint = join(folder, 'mnt')
    this.inside = ['nsenter', `--mount=/proc/${namespace.pid}/ns/mnt`]
  }

  /** Makes the filesystem. */
  static async make(kind: Kind): Promise<Image> {
    sweep()
    const folder = mkdtempSync(join(HOME, `sandbox-state-power-${process.pid}-`))
    const namespace = spawn('unshare', ['--mount', 'setpriv', '--pdeathsig', 'KILL', 'sleep', 'infinity'])
    const image = new Image(kind, folder, namespace)
    onTestFinished(() => image.remove())
    const link = `/proc/${namespace.pid}/ns/mnt`
    await until('there is a mount namespace', () => readlinkSync(link) !== readlinkSync('/proc/self/ns/mnt'))
    mkdirSync(image.mountPoint)
    writeFileSync(image.file, '')
    truncateSync(image.file, kind.size * 1024 * 1024)
    run(...kind.mkfs, image.file)
    return image
  }

  /** A path in the namespace, for processes outside of it. */
  outside(path: string): string {
    return `/proc/${this.namespace.pid}/root${path}`
  }

  /**
   * Mounts it, which replays the filesystem's log where the last mount was cut off.
   * @param file through which its file is read and written
   */
  async mount(file = this.file): Promise<void> {
    this.device = run(...this.inside, 'losetup', '--find', '--show', file)
    try {
      run(...this.inside, 'mount', '-t', this.kind.name, this.device, this.mountPoint)
    } catch (error) {
      await this.detach()
      throw error
    }
  }

  async unmount(): Promise<void> {
    // A process that was killed may still hold files open for a moment.
    await until('it is unmounted', () => attempt(...this.inside, 'umount', this.mountPoint))
    await this.detach()
  }

  private async detach(): Promise<void> {
    // btrfs would remember the device, and refuse an older copy of it.
    if (this.kind.name === 'btrfs') attempt('btrfs', 'device', 'scan', '--forget', this.device)
    run('losetup', '--detach', this.device)
    // It is in use for as long as anybody looks at it.
    const backing = `/sys/block/${basename(this.device)}/loop/backing_file`
    await until('the loop device is free', () => !isIn(this.folder, readIfThere(backing)))
  }

  /** Else it goes when the test ends. */
  remove(): void {
    this.namespace.kill('SIGKILL')
    remove(this.folder)
  }

  /** Writes everything, as the kernel does by itself from time to time. */
  flush(): void {
    run('sync', '--file-system', this.outside(this.mountPoint))
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Once a namespace has ended, the paths of its files begin where they were mounted. */
function isIn(folder: string, file: string): boolean {
  return file.includes(`/${basename(folder)}/`)
}

/** Ends what a killed run left: loop devices, images. */
function sweep(): void {
  for (const name of readdirSync(HOME)) {
    const pid = NAME.exec(name)?.[1]
    if (pid === undefined) continue
    const folder = join(HOME, name)
    const age = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    if (age > OLD || !existsSync(`/proc/${pid}`)) remove(folder)
  }
}

/** Its mounts have ended with the process that kept their namespace. */
function remove(folder: string): void {
  for (const line of run('losetup', '--list', '--noheadings', '--output', 'NAME,BACK-FILE').split('\n')) {
    const [device = '', file = ''] = line.split(/\s+/)
    if (isIn(folder, file)) attempt('losetup', '--detach', device)
  }
  rmSync(folder, { recursive: true, force: true })
}

/** @returns what it prints */
export function run(program: string, ...args: string[]): string {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  const env = { ...process.env, PATH: path }
  return execFileSync(program, args, { encoding: 'utf8', timeout: 60_000, stdio: 'pipe', env }).trim()
}

function attempt(program: string, ...args: string[]): boolean {
  try {
    run(program, ...args)
    return true
  } catch {
    return false
  }
}
