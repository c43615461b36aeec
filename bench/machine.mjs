import { readFileSync, statfsSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'

/** What a figure depends on. */
export function machineFacts() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGB: Math.round(totalmem() / 1e9),
    kernel: `${type()} ${release()}`,
    node: process.version,
    load: loadavg().map(value => Number(value.toFixed(2))),
  }
}

/** The name of a folder's filesystem, such as `ext4`, or its number in statfs(2) where there is no /proc/self/mounts. */
export function filesystemOf(folder) {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map(line => line.split(' '))
      .filter(([, point]) => point !== undefined && isBelow(folder, point))
    const [, , filesystem] = mounts.sort((a, b) => a[1].length - b[1].length).at(-1)
    return filesystem
  } catch {
    return `type ${statfsSync(folder).type}`
  }
}

function isBelow(folder, point) {
  return point === '/' || folder === point || folder.startsWith(`${point}/`)
}
