import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const TMPFS = 0x01021994

/** Where to make folders on a filesystem that is to be tried: see test/platforms/run.mjs. */
const CHOSEN = process.env.SANDBOX_STATE_TEST_FOLDER || undefined

/** Folders on the kinds of filesystem that this machine has: the store works differently on a disk and in memory. */
export const filesystems: readonly { readonly name: string; readonly folder: string }[] = [
  { name: 'memory', folder: '/dev/shm' },
  { name: 'disk', folder: CHOSEN ?? '/var/tmp' },
  { name: 'temporary folder', folder: tmpdir() },
]
  .filter(
    ({ name, folder }) =>
      existsSync(folder) &&
      (name === 'temporary folder' || (statfsSync(folder).type === TMPFS) === (name === 'memory')),
  )
  .slice(0, 2)

/** A folder of the test's own, removed when it ends. */
export function temporaryFolder(on: string = CHOSEN ?? tmpdir()): string {
  const folder = mkdtempSync(join(on, 'sandbox-state-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
