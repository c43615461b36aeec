import { openStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { attach, detach, noStrace } from '../support/strace.js'
import { until } from '../support/wait.js'
import { changeAsForeignProgram, isBeforeRename, resume } from './foreign.js'

// A change takes so long that a program with plain proper-lockfile takes its lock for a stale one, enters and writes.

if (noStrace !== undefined) console.warn(`no flush is slow: ${noStrace}`)

const disk = filesystems.find(({ name }) => name !== 'memory')

/** Every call by which a change may wait for the disk. */
const FLUSHES = 'fsync,fdatasync,io_submit'

async function newSandboxes(folder: string, ...ids: string[]): Promise<string> {
  const root = temporaryFolder(folder)
  const store = await openStore(root)
  for (const id of ids) await store.create(id)
  await store.close()
  return root
}

describe.skipIf(noStrace !== undefined || disk === undefined)('a flush that stalls before the rename', () => {
  test.each([
    { how: 'alone', ids: ['a'], lockTimeout: 1 },
    { how: 'among others', ids: ['a', 'b', 'c'], lockTimeout: 10_000 },
  ])(
    'does not overwrite what a proper-lockfile program wrote meanwhile, $how',
    async ({ ids, lockTimeout }) => {
      const root = await newSandboxes(disk?.folder ?? '', ...ids)
      const child = startProgram('together', [root, String(lockTimeout), ...ids])
      await nextMessage(child)
      const strace = await attach([
        ...['-f', '-o', '/dev/null', '-e', `trace=${FLUSHES}`, '-p', String(child.pid)],
        ...['-e', `inject=${FLUSHES}:delay_enter=600s:when=1`],
      ])
      const reported = nextMessage(child)
      child.send('go')
      await until('the new state is written', () => isBeforeRename(root, 'a'))
      await changeAsForeignProgram(root, 'a', 1000)
      await detach(strace) // Only now the flush goes on.
      expect(await reported).toEqual(ids.map((_, i) => ({ ok: true, result: i === 0 ? 1001 : 1 })))
      expect(await (await openTestStore(root)).read('a')).toMatchObject({ blockIndex: 1001 })
    },
  )
})

describe.skipIf(process.platform !== 'linux').each(filesystems)(
  'a lock taken over by a program whose clock is ahead, on $name',
  ({ folder }) => {
    test.each([
      ['in the first second of an update', 'stopped'],
      ['in an update, which then takes longer than its lockTimeout', 'late'],
    ])('%s: it is tried once more and made', async (_, how) => {
      const root = await newSandboxes(folder, 'a')
      const child = startProgram('holder', [root, 'a', how])
      await nextMessage(child)
      const finished = nextMessage(child)
      await changeAsForeignProgram(root, 'a', 1000)
      await resume(child)
      expect(await finished).toEqual({ ok: true, result: 1001, runs: 2 })
    })
  },
)
