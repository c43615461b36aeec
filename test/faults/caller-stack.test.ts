import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import {
  giveToOrdinaryUser,
  nextMessage,
  noOrdinaryUser,
  ORDINARY_USER,
  startProgram,
} from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'

// The stack of an error names the line of the program that asked for the change, in whichever thread it was made.

if (noOrdinaryUser !== undefined) console.warn(`no change of an ordinary user fails: ${noOrdinaryUser}`)

describe.skipIf(noOrdinaryUser !== undefined).each(filesystems)(
  'an error of one of two changes made at once, on $name',
  ({ folder }) => {
    test("has the caller's line in its stack", async () => {
      const root = temporaryFolder(folder)
      const store = await openStore(root)
      for (const id of ['a', 'b', 'c']) await store.create(id)
      await store.close()
      giveToOrdinaryUser(root)
      chmodSync(join(root, 'b'), 0o500)
      const reports = await nextMessage(startProgram('refused-caller', [root], ORDINARY_USER))
      const stack = expect.stringMatching(/^StateStoreError.*\n(.*\n)*.*theCaller.*refused-caller/)
      expect(reports).toEqual([
        { code: 'STATE_MISMATCH', stack },
        { code: 'IO_ERROR', stack },
      ])
    })
  },
)
