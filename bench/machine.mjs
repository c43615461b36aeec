import { existsSync, readFileSync, realpathSync, statfsSync } from 'node:fs'
import module from 'node:module'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { basename } from 'node:path'

/** What the figures depend on. */
export function machineFacts() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 1e9),
    kernel: `${type()} ${release()}`,
    node: process.version,
    compileCache: hasCompileCache(),
    load: loadavg().map(value => Number(value.toFixed(2))),
  }
}

/** Node has it since version 22. */
export function hasCompileCache() {
  return 'enableCompileCache' in module
}

/**
 * The name of a folder's filesystem, such as `ext4` or `ext4 without a journal`, or its number in statfs(2) on systems
 * without /proc/self/mountinfo.
 */
export function filesystemOf(folder) {
  if (!existsSync('/proc/self/mountinfo')) return `type ${statfsSync(folder).type}`
  const path = realpathSync(folder)
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .trim()
    .split('\n')
    .map(text => {
      const [mount, source] = text.split(' - ')
      const [, , device, , point] = mount.split(' ')
      return { device, point, name: source.split(' ')[0] }
    })
    .filter(({ point }) => isBelow(path, point))
  // The later of two mounts at one point hides the earlier.
  const { device, name } = mounts.reduce((best, mount) =>
    mount.point.length >= best.point.length ? mount : best,
  )
  return name === 'ext4' && !hasJournal(device) ? 'ext4 without a journal' : name
}

function isBelow(folder, point) {
  return point === '/' || folder === point || folder.startsWith(`${point}/`)
}

/** The kernel lists each journal of ext4 as DEVICE-INODE. */
function hasJournal(device) {
  const link = `/sys/dev/block/${device}`
  return !existsSync(link) || existsSync(`/proc/fs/jbd2/${basename(realpathSync(link))}-8`)
}
