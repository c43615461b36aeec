import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { beforeEachCall } from '../attack/before-call.js'
import { temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

// A dot-lock of ours has become stale: its holder was killed, or stood still for long. Another program, which knows
// only proper-lockfile, takes it over just before any of our calls, as that package does: it looks, removes the lock by
// its name, and makes its own.

const MINUTE = 60

test.each(['is taken over', 'is released'])(
  'a stale lock that %s is never removed after another program took it over',
  async when => {
    let taken = 0
    for (let at = 1, calls = 1; at <= calls; at++) {
      const root = temporaryFolder()
      const file = join(root, 'a', 'state.json')
      const dotLock = `${file}.lock`
      const store = await openTestStore(root, { lockTimeout: 0, durable: false })
      await store.create('a')
      const first = readFileSync(file, 'utf8')

      const now = Date.now() / 1000
      const makeStale = () => utimesSync(dotLock, now - MINUTE, now - MINUTE)
      let isAged = when === 'is taken over'
      if (isAged) {
        mkdirSync(dotLock, 0o500)
        makeStale()
      }
      let before: string | undefined
      calls = await beforeEachCall(
        n => {
          if (!isAged && readFileSync(file, 'utf8') !== first) {
            makeStale()
            isAged = true
          }
          const stat = statSync(dotLock, { throwIfNoEntry: false })
          if (n !== at || stat === undefined || stat.mtimeMs / 1000 > now - MINUTE / 2) return
          rmdirSync(dotLock)
          mkdirSync(dotLock, 0o755)
          before = readFileSync(file, 'utf8')
        },
        () => store.update('a', state => ({ ...state, blockIndex: 7 })).catch(() => {}),
      )
      if (before !== undefined) {
        taken++
        expect.soft(statSync(dotLock).mode & 0o777, `its lock, taken before call ${at}`).toBe(0o755)
        expect.soft(readFileSync(file, 'utf8'), `the state, taken before call ${at}`).toBe(before)
      }
    }
    expect(taken).toBeGreaterThan(1)
  },
)

test('a change is made although another program removes our lock, as stale, before any call', async () => {
  let removed = 0
  for (let at = 1, calls = 1; at <= calls; at++) {
    const root = temporaryFolder()
    const dotLock = join(root, 'a', 'state.json.lock')
    const store = await openTestStore(root, { durable: false })
    await store.create('a')
    mkdirSync(dotLock, 0o500)
    calls = await beforeEachCall(
      n => {
        if (n !== at || !existsSync(dotLock)) return
        rmdirSync(dotLock)
        removed++
      },
      () => store.update('a', state => ({ ...state, blockIndex: 7 })),
    )
    expect(await store.read('a'), `removed before call ${at}`).toMatchObject({ blockIndex: 7 })
  }
  expect(removed).toBeGreaterThan(5)
})
