import { spawnSync } from 'node:child_process'
import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { effort } from '../support/effort.js'
import { mountExt4, mountTmpfs, remount, smallFilesystems, takeInodes } from '../support/mount.js'
import { nextMessage, startProgram } from '../support/program.js'
import { until } from '../support/wait.js'
import { expectNothingLost } from './random-load.js'

// A filesystem becomes read-only, or has no inode left, and recovers, again and again while two processes change
// sandboxes on it.

const missing = smallFilesystems.map(one => one.missing).find(why => why !== undefined)
if (missing !== undefined) console.warn(`no filesystem comes and goes: ${missing}`)

const ROUNDS = effort(3, 20, 500)

/** The kernel refuses while a file is open to be written. */
async function readOnly(folder: string): Promise<() => void> {
  const remounted = () => spawnSync('mount', ['-o', 'remount,ro', folder]).status === 0
  await until('no file is open to be written', remounted)
  return () => remount(folder, 'rw')
}

async function withoutInodes(folder: string): Promise<() => void> {
  const fillers = takeInodes(folder)
  return () => {
    for (const filler of fillers) unlinkSync(filler)
  }
}

const WAYS = [
  { name: 'tmpfs is read-only', mount: () => mountTmpfs('size=4m'), turn: readOnly },
  { name: 'ext4 is read-only', mount: mountExt4, turn: readOnly },
  { name: 'tmpfs has no inode', mount: () => mountTmpfs('size=4m,nr_inodes=90'), turn: withoutInodes },
  { name: 'ext4 has no inode', mount: mountExt4, turn: withoutInodes },
]

describe.skipIf(missing !== undefined)('a disk that fails for a while, again and again', () => {
  test.each(WAYS)('loses no change: $name', { timeout: 3_600_000 }, async ({ name, mount, turn }) => {
    const folder = mount()
    const start = async (args: readonly string[]) => {
      const child = startProgram('random-changes', args)
      await nextMessage(child)
      return child
    }
    const root = join(folder, 'root')
    const totals = await expectNothingLost(root, start, { changes: 1e9, rate: 0 }, async moreChanges => {
      for (let round = 0; round < ROUNDS; round++) {
        const recover = await turn(folder)
        await moreChanges(10)
        recover()
        await moreChanges(10)
      }
    })
    const { changes, acknowledged, failed } = totals
    console.log(
      `${name}: ${changes} changes, ${acknowledged} acknowledged, ${failed} failed; ${ROUNDS} times`,
    )
    expect(acknowledged).toBeGreaterThan(0)
    expect(failed).toBeGreaterThan(0)
  })
})
