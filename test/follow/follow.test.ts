import { once } from 'node:events'
import type { SandboxState } from 'sandbox-state'
import { expect, test, vi } from 'vitest'
import { all } from '../support/all.js'
import { effort } from '../support/effort.js'
import { Events } from '../support/events.js'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'
import { PATIENCE, until } from '../support/wait.js'

const PROCESSES = effort(3, 8)
const CHANGES = effort(100, 600)

test('1,000 sandboxes changed by several processes: two watches end with what is there, a wait ends, and the histories account for each change', {
  timeout: 120_000,
}, async () => {
  const root = temporaryFolder(filesystems[0]?.folder)
  const store = await openTestStore(root, { lockTimeout: 60_000 })
  const ids = Array.from({ length: 1_000 }, (_, i) => `s${i}`)
  for (const id of [...ids, 'wanted']) await store.create(id)

  const follower = startProgram('follower', [root])
  await nextMessage(follower)
  const events = new Events(store)
  const waiter = startProgram('waiter', [root, 'wanted'])
  await nextMessage(waiter)
  const shakers = Array.from({ length: PROCESSES }, (_, i) => {
    return startProgram('shaker', [root, String(CHANGES), String(i)])
  })
  await Promise.all(shakers.map(nextMessage))

  const reports = Promise.all(shakers.map(nextMessage)) as Promise<Shaken[]>
  for (const shaker of shakers) shaker.send('go')
  await until('there are changes', () => events.all.length > ids.length + 50)
  const waited = nextMessage(waiter)
  await store.transition('wanted', 'ready', 'stopped')
  expect(await waited).toEqual({ state: 'stopped' })

  const shaken = await reports
  expect(shaken.flatMap(({ errors }) => errors)).toEqual([])
  // The next change records that there was one without a history.
  for (const id of ids.slice(0, 100)) await store.update(id, state => state)

  const files = new Map<string, string | null>([...ids, 'wanted'].map(id => [id, null]))
  for await (const entry of store.list()) files.set(entry.id, 'state' in entry ? show(entry.state) : 'error')
  const differences = async () => {
    follower.send('report')
    const { last } = (await nextMessage(follower)) as { last: Record<string, SandboxState | null> }
    const mine = new Map(events.all.map(event => [event.id, 'state' in event ? show(event.state) : null]))
    return [...files].flatMap(([id, file]) => {
      const theirs = last[id] ? show(last[id]) : null
      return theirs === file && (mine.get(id) ?? null) === file ? [] : [`${id}: ${file}, seen as ${theirs}`]
    })
  }
  await vi.waitFor(async () => expect(await differences()).toEqual([]), PATIENCE)
  expect(events.all.filter(({ type }) => type === 'error')).toEqual([])

  const difference: string[] = []
  let gaps = 0
  let changes = 0
  for (const [i, id] of ids.slice(0, 900).entries()) {
    const entries = await all(store.history(id))
    const theirs = shaken.reduce((sum, { acknowledged }) => sum + (acknowledged[id] ?? 0), 0)
    const made = theirs + (i < 100 ? 2 : 1)
    const missing = entries.filter(({ gap }) => gap).length
    if (entries.length + missing !== made) difference.push(`${id}: ${entries.length} + ${missing} of ${made}`)
    gaps += missing
    changes += theirs
  }
  expect(difference).toEqual([])
  expect(gaps).toBe(100)
  expect(changes).toBeGreaterThan(PROCESSES * CHANGES * 0.5)

  follower.send('end')
  expect(await once(follower, 'exit')).toEqual([0, null])
})

interface Shaken {
  readonly acknowledged: Record<string, number>
  readonly errors: readonly string[]
}

function show({ state, blockIndex }: SandboxState): string {
  return `${state} ${blockIndex}`
}
