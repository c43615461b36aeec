import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { effort, places } from './support/effort.js'
import { Racers } from './support/program.js'
import { temporaryFolder } from './support/root.js'
import { openTestStore } from './support/store.js'

let racers: Racers
beforeAll(async () => {
  racers = await Racers.start(8)
}, 120_000)
afterAll(() => racers?.end())

const INCREMENTS = effort(25, 500)
const LABELS = effort(20, 200)

describe.each(places)('8 processes, on $name', ({ folder }) => {
  test('the increments of one sandbox by each add up', { timeout: 120_000 }, async () => {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root)
    await store.create('shared')
    const reports = await racers.race({ root, id: 'shared', what: 'increment', count: INCREMENTS })
    expect(reports.flat().filter(({ ok }) => !ok)).toEqual([])
    expect((await store.read('shared')).blockIndex).toBe(8 * INCREMENTS)
  })

  test('a label of its own that each sets again and again is lost nowhere', {
    timeout: 120_000,
  }, async () => {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root)
    await store.create('shared', { labels: { team: 'x' }, data: { kept: [1] } })
    const reports = await racers.race({ root, id: 'shared', what: 'label', count: LABELS })
    expect(reports.flat().filter(({ ok }) => !ok)).toEqual([])
    const { labels = {}, data } = await store.read('shared')
    const { team, ...counts } = labels
    expect({ team, data }).toEqual({ team: 'x', data: { kept: [1] } })
    expect(Object.values(counts)).toEqual(Array.from({ length: 8 }, () => String(LABELS)))
  })

  test('one of those that create an id at once succeeds', async () => {
    const root = temporaryFolder(folder)
    const outcomes = (await racers.race({ root, id: 'wanted', what: 'create' })).flat()
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1)
    expect(outcomes.filter(({ code }) => code === 'ALREADY_EXISTS')).toHaveLength(7)
  })

  test('one of those that make a transition at once succeeds', async () => {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root)
    await store.create('wanted')
    const outcomes = (await racers.race({ root, id: 'wanted', what: 'transition' })).flat()
    expect(outcomes.filter(({ ok }) => ok)).toEqual([{ ok: true, result: 'running' }])
    expect(outcomes.filter(({ code }) => code === 'STATE_MISMATCH')).toHaveLength(7)
  })
})
