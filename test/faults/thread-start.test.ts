import { type ChildProcess, spawnSync } from 'node:child_process'
import { chownSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { copyLibrary } from '../support/copy.js'
import { nextMessage, noOrdinaryUser, ORDINARY_USER, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'

// Changes that are made at once on a disk may be made in a thread; where none can start, they are made all the same.

const LIBRARY = fileURLToPath(new URL('../../dist/index.js', import.meta.url))
const disk = filesystems.find(({ name }) => name !== 'memory')?.folder

const noLimit =
  noOrdinaryUser ?? (spawnSync('prlimit', ['--nproc']).status === 0 ? undefined : 'prlimit is not installed')
if (disk === undefined) console.warn('no thread is kept from starting: there is no disk')
if (noLimit !== undefined) console.warn(`threads are not limited: ${noLimit}`)

async function expectAllMade(child: ChildProcess): Promise<void> {
  const all = (value: number) => Array.from({ length: 6 }, () => value)
  expect(await nextMessage(child)).toEqual([all(0), all(1), all(2)])
}

test.skipIf(disk === undefined)("the file of a thread's code is missing, as in a bundle", async () => {
  await expectAllMade(startProgram('threadless', [LIBRARY, temporaryFolder(disk), 'bundled']))
})

test.skipIf(disk === undefined)('the current folder was deleted', async () => {
  await expectAllMade(startProgram('threadless', [LIBRARY, temporaryFolder(disk), 'folderless']))
})

test.skipIf(disk === undefined)('NODE_OPTIONS requires a file that is missing by now', async () => {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'preloaded.cjs'), '')
  const env = { ...process.env, NODE_OPTIONS: '--require=./preloaded.cjs' }
  await expectAllMade(
    startProgram('threadless', [LIBRARY, temporaryFolder(disk), 'unrequired'], { cwd, env }),
  )
})

test.skipIf(disk === undefined)('--preserve-symlinks, and packages beside the link only', async () => {
  const library = temporaryFolder()
  const packages = join(temporaryFolder(), 'node_modules')
  copyLibrary(library, packages)
  symlinkSync(library, join(packages, 'linked'))
  const linked = join(packages, 'linked', 'dist', 'index.js')
  const execArgv = ['--preserve-symlinks']
  await expectAllMade(startProgram('threadless', [linked, temporaryFolder(disk), 'linked'], { execArgv }))
})

test.skipIf(disk === undefined || noLimit !== undefined)('the user may have no more threads', async () => {
  const folder = temporaryFolder(disk)
  if (ORDINARY_USER !== undefined) chownSync(folder, ORDINARY_USER.uid, ORDINARY_USER.gid)
  await expectAllMade(startProgram('threadless', [LIBRARY, folder, 'limited'], ORDINARY_USER))
})
