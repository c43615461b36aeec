import { mkdirSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { all } from '../support/all.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

test('the time of a new state is that of the system clock, though the machine has slept since the start', async () => {
  // The clock of performance.now() stands still meanwhile.
  using _earlierStart = vi
    .spyOn(performance, 'timeOrigin', 'get')
    .mockReturnValue(performance.timeOrigin - 8 * 3_600_000)
  const store = await openTestStore(temporaryFolder())
  const before = Date.now()
  await store.create('a')
  const { changedAt } = await store.inspect('a')
  expect(Date.parse(changedAt)).toBeGreaterThanOrEqual(before)
  expect(Date.parse(changedAt)).toBeLessThanOrEqual(Date.now())
})

describe.each(filesystems)('a state file whose time of modification, on $name,', ({ folder }) => {
  async function setUp() {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root)
    await store.create('a')
    await store.create('b')
    const file = join(root, 'a', 'state.json')
    return { root, store, file }
  }

  test.each([
    ['is before 1970', new Date('1969-12-31T00:00:00.500Z'), '1969-12-31T00:00:00.500Z', []],
    ['is beyond all dates', 99_999_999_999_999, undefined, ['b']],
  ])('%s: it is listed, inspected and changed like any other', async (_, time, changedAt, locked) => {
    const { root, store, file } = await setUp()
    utimesSync(file, time, time)
    const entries = await all(store.list())
    const isoTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/)
    expect(entries).toMatchObject([{ id: 'a', changedAt: changedAt ?? isoTime }, { id: 'b' }])
    const { revision } = await store.inspect('a')
    await store.transition('a', 'ready', 'running')
    expect((await store.inspect('a')).revision).not.toBe(revision)
    const dotLock = join(root, 'b', 'state.json.lock')
    mkdirSync(dotLock)
    utimesSync(dotLock, time, time)
    expect((await all(store.locks())).map(({ id }) => id)).toEqual(locked)
  })

  test('is in the future, as after the clock was set back: each change moves it on', async () => {
    const { store, file } = await setUp()
    const future = Math.ceil(Date.now() / 1000) + 3_600
    utimesSync(file, future, future)
    let last = statSync(file).mtimeMs
    for (let i = 0; i < 20; i++) {
      await store.update('a', state => ({ ...state, blockIndex: i }))
      const { mtimeMs } = statSync(file)
      expect(mtimeMs).toBeGreaterThan(last)
      last = mtimeMs
    }
  })
})
