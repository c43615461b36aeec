import { chmodSync, chownSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { nextMessage, noOrdinaryUser, ORDINARY_USER, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'

// Whoever reads an error wants to know which line of the program asked for the change, wherever the change was made.

if (noOrdinaryUser !== undefined) console.warn(`no change of an ordinary user fails: ${noOrdinaryUser}`)

/** Gives everything below a folder to the user that the programs run as. */
function giveAway(path: string): void {
  if (ORDINARY_USER === undefined) return
  const { uid, gid } = ORDINARY_USER
  for (const name of ['.', ...readdirSync(path, { recursive: true, encoding: 'utf8' })])
    chownSync(join(path, name), uid, gid)
}

describe.skipIf(noOrdinaryUser !== undefined).each(filesystems)(
  'an error of one of two changes made at once, on $name',
  ({ folder }) => {
    test("has the caller's line in its stack", async () => {
      const root = temporaryFolder(folder)
      const store = await openStore(root)
      for (const id of ['a', 'b', 'c']) await store.create(id)
      await store.close()
      giveAway(root)
      chmodSync(join(root, 'b'), 0o500)
      const reports = await nextMessage(startProgram('refused-caller', [root], ORDINARY_USER))
      expect(reports).toEqual([
        {
          code: 'STATE_MISMATCH',
          stack: expect.stringMatching(/^StateStoreError.*\n(.*\n)*.*theCaller.*refused-caller/),
        },
        {
          code: 'IO_ERROR',
          stack: expect.stringMatching(/^StateStoreError.*\n(.*\n)*.*theCaller.*refused-caller/),
        },
      ])
    })
  },
)
