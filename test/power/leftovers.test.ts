import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import lockfile from 'proper-lockfile'
import { describe, expect, test } from 'vitest'
import { places } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

const EARLIER = '00000000-0000-4000-8000-000000000000'

/** What a power cut may leave in the `lock` file, which is never flushed: a note of any age, or nothing. */
const NOTES: readonly { readonly note: string; readonly left: (note: string) => string }[] = [
  {
    note: 'of a holder in an earlier boot that released it',
    left: note => note.replace(BOOT, `"boot":"${EARLIER}"`),
  },
  {
    note: 'of a holder that did not release it',
    left: note => note.replace('"held":false,', '"held":true ,'),
  },
  { note: 'of nobody', left: () => '' },
  { note: 'of NULs', left: note => '\0'.repeat(note.length) },
]
const BOOT = /"boot":"[^"]*"/

describe.skipIf(process.platform !== 'linux').each(places)(
  'a temporary file that a power cut left, on $name',
  ({ folder }) => {
    async function setUp(left: (note: string) => string) {
      const root = temporaryFolder(folder)
      const store = await openTestStore(root, { lockTimeout: 100 })
      await store.create('a')
      const [lock, temporary] = [join(root, 'a', 'lock'), join(root, 'a', '.state.json.tmp')]
      const note = readFileSync(lock, 'latin1')
      expect(note).toMatch(/^\{"held":false,.*"boot":"[^"]+"/)
      expect(left(note)).not.toBe(note)
      writeFileSync(lock, left(note))
      writeFileSync(temporary, '{"sta')
      return { root, store, temporary }
    }

    test.each(NOTES)('is swept by the next change, whose lock has the note $note', async ({ left }) => {
      const { store, temporary } = await setUp(left)
      await store.transition('a', 'ready', 'running')
      expect(existsSync(temporary)).toBe(false)
    })

    test.each(NOTES)('does not keep a deleted folder, whose lock has the note $note', async ({ left }) => {
      const { root, store } = await setUp(left)
      await store.delete('a')
      expect(existsSync(join(root, 'a'))).toBe(false)
    })

    test('is swept also after a change that found another program there', async () => {
      const { root, store, temporary } = await setUp(() => '')
      const release = await lockfile.lock(join(root, 'a', 'state.json'))
      await expect(store.delete('a')).rejects.toMatchObject({ code: 'LOCK_TIMEOUT' })
      await release()
      expect(existsSync(temporary)).toBe(true)
      await store.transition('a', 'ready', 'running')
      expect(existsSync(temporary)).toBe(false)
    })
  },
)
