import type { ChildProcess } from 'node:child_process'
import { expect } from 'vitest'
import { all } from '../support/all.js'
import { openTestStore } from '../support/store.js'
import { until } from '../support/wait.js'
import { expectWalk, namesIn, stateOf, TIDY } from './sandbox.js'

/** What a random-changes.mjs did. */
interface Report {
  readonly changes: number
  readonly acknowledged: number
  readonly failed: number
  /** How many calls of the C library were disturbed. */
  readonly faults: number
  /** Increments of `shared`: those acknowledged, and those whose outcome is unknown. */
  readonly increments: readonly [number, number]
  readonly leaked: number
  readonly wrong: readonly string[]
}

interface Totals {
  readonly changes: number
  readonly acknowledged: number
  readonly failed: number
  readonly faults: number
}

/** The processes of a load, by their names. */
const NAMES = ['one', 'two']

function reportOf(child: ChildProcess, onProgress: (made: number) => void): Promise<Report> {
  return new Promise((resolve, reject) => {
    child.on('message', (message: Report | { readonly made: number }) => {
      if ('made' in message) onProgress(message.made)
      else resolve(message)
    })
    child.once('exit', (...how) => reject(new Error(`a process ended without a report: ${how}`)))
  })
}

/** Lets two processes change sandboxes, disturbs them meanwhile, and expects each change to be as it was reported. */
export async function expectNothingLost(
  root: string,
  start: (args: readonly string[]) => Promise<ChildProcess>,
  work: { readonly changes: number; readonly rate: number },
  disturb?: (moreChanges: (count: number) => Promise<void>) => Promise<void>,
): Promise<Totals> {
  const store = await openTestStore(root, { durable: false })
  await store.create('shared')
  const children = await Promise.all(NAMES.map(name => start([root, name])))
  const made = new Map<ChildProcess, number>()
  const answers = Promise.all(children.map(child => reportOf(child, count => made.set(child, count))))
  const changes = work.changes / children.length
  for (const [i, child] of children.entries()) child.send({ ...work, changes, seed: i * 1_000_000 })
  if (disturb !== undefined) {
    const total = () => Array.from(made.values()).reduce((sum, count) => sum + count, 0)
    await disturb(async count => {
      const next = total() + count
      await until(`${count} more changes are made`, () => total() >= next)
    })
    for (const child of children) child.send('stop')
  }
  const reports = await answers
  for (const { wrong, leaked } of reports) {
    expect(wrong).toEqual([])
    expect(leaked).toBe(0)
  }
  const sum = (of: (report: Report) => number) => reports.reduce((total, report) => total + of(report), 0)
  const acknowledged = sum(({ increments }) => increments[0])
  const { blockIndex } = await store.read('shared')
  expect(blockIndex).toBeGreaterThanOrEqual(acknowledged)
  expect(blockIndex).toBeLessThanOrEqual(acknowledged + sum(({ increments }) => increments[1]))
  for (const id of [
    'shared',
    ...NAMES.flatMap(name => ['a', 'b', 'c', 'd'].map(each => `${name}-${each}`)),
  ]) {
    if ((await stateOf(store, id)) === undefined) await store.create(id)
    else await store.update(id, state => state)
    expect((namesIn(root, id) ?? []).filter(name => name !== 'history.jsonl.1')).toEqual(TIDY)
    expectWalk(root, id, id)
  }
  expect(await all(store.check())).toEqual([])
  return {
    changes: sum(one => one.changes),
    acknowledged: acknowledged + sum(one => one.acknowledged),
    failed: sum(one => one.failed),
    faults: sum(one => one.faults),
  }
}
