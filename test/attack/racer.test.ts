import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { StateStoreError } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from '../support/all.js'
import { effort, places } from '../support/effort.js'
import { picture } from '../support/picture.js'
import { nextMessage, startProgram } from '../support/program.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

const KINDS = ['folder', 'temporary', 'lock', 'history', 'state', 'stateLock']

const ROUNDS = effort(25, 100)

describe.skipIf(!existsSync('/proc/self/fd')).each(places)('on $name', ({ folder: on }) => {
  test.each(KINDS)(
    'a process that swaps the %s for a link all the time reaches nothing elsewhere',
    async kind => {
      const root = temporaryFolder(on)
      const victim = temporaryFolder(on)
      writeFileSync(join(victim, 'state.json'), '{"state":"ready"}', { mode: 0o644 })
      for (const name of ['lock', 'history.jsonl', 'precious']) {
        writeFileSync(join(victim, name), 'precious', { mode: 0o644 })
      }
      mkdirSync(join(victim, 'empty'))
      chmodSync(victim, 0o755)
      const before = picture(victim)
      const store = await openTestStore(root, { lockTimeout: 100 })
      await store.create('a')
      // Root's change gives the new file to the old one's owner; it must not give away another.
      if (process.geteuid?.() === 0) chownSync(join(root, 'a', 'state.json'), 4711, 4711)
      const racer = startProgram('swapper', [kind, root, 'a', victim])
      await nextMessage(racer)
      const codes: Record<string, number> = {}
      const count = (code: string) => {
        codes[code] = (codes[code] ?? 0) + 1
      }
      for (let i = 0; i < ROUNDS; i++) {
        const calls = [
          () => store.update('a', state => ({ ...state, blockIndex: i })),
          () => store.read('a'),
          () => store.create(`new-${i}`),
          ...(i % 20 === 2 ? [() => all(store.check())] : []),
          ...(i % 20 === 7 ? [() => store.repair()] : []),
        ]
        for (const call of calls) {
          try {
            await call()
            count('done')
          } catch (error) {
            if (!(error instanceof StateStoreError)) throw error
            count(error.code)
          }
        }
      }
      const report = nextMessage(racer)
      racer.send('stop')
      const swapped = await report
      expect(picture(victim)).toEqual(before)
      expect(codes.done).toBeGreaterThan(20)
      if (kind !== 'temporary' && kind !== 'stateLock') expect(swapped).toBeGreaterThan(10)
    },
  )
})
