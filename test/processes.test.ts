import { openStore } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { race } from './support/program.js'
import { filesystems, temporaryFolder } from './support/root.js'

describe.each(filesystems)('8 processes, on $name', ({ folder }) => {
  test('500 increments each of one sandbox add up to 4000', { timeout: 120_000 }, async () => {
    const root = temporaryFolder(folder)
    const store = await openStore(root)
    await store.create('shared')
    const reports = await race(8, 'racer', [root, 'shared', 'increment', '500'])
    expect(reports.flat().filter(({ ok }) => !ok)).toEqual([])
    expect((await store.read('shared')).blockIndex).toBe(4000)
    await store.close()
  })

  test('a label of its own that each sets 200 times is lost nowhere', { timeout: 120_000 }, async () => {
    const root = temporaryFolder(folder)
    const store = await openStore(root)
    await store.create('shared', { labels: { team: 'x' }, data: { kept: [1] } })
    const reports = await race(8, 'racer', [root, 'shared', 'label', '200'])
    expect(reports.flat().filter(({ ok }) => !ok)).toEqual([])
    const { labels = {}, data } = await store.read('shared')
    const { team, ...counts } = labels
    expect({ team, data }).toEqual({ team: 'x', data: { kept: [1] } })
    expect(Object.values(counts)).toEqual(Array.from({ length: 8 }, () => '200'))
    await store.close()
  })

  test('one of those that create an id at once succeeds', async () => {
    const root = temporaryFolder(folder)
    const outcomes = (await race(8, 'racer', [root, 'wanted', 'create', '1'])).flat()
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1)
    expect(outcomes.filter(({ code }) => code === 'ALREADY_EXISTS')).toHaveLength(7)
  })

  test('one of those that make a transition at once succeeds', async () => {
    const root = temporaryFolder(folder)
    const store = await openStore(root)
    await store.create('wanted')
    const outcomes = (await race(8, 'racer', [root, 'wanted', 'transition', '1'])).flat()
    expect(outcomes.filter(({ ok }) => ok)).toEqual([{ ok: true, result: 'running' }])
    expect(outcomes.filter(({ code }) => code === 'STATE_MISMATCH')).toHaveLength(7)
    await store.close()
  })
})
