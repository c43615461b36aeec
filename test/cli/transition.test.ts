import { STATES, TRANSITIONS } from 'sandbox-state'
import { describe, expect, it } from 'vitest'
import { nextChangeWaits } from '../support/trace.js'
import { until } from '../support/wait.js'
import { holdLock } from './hold-lock.js'
import { Root, stateText } from './support.js'

const PAIRS = STATES.flatMap(from =>
  STATES.map(to => ({ from, to, allowed: (TRANSITIONS[from] as readonly string[]).includes(to) })),
)

describe('transition', () => {
  for (const options of ['', ' --from FROM']) {
    it.each(PAIRS)(`from $from to $to${options}: $allowed`, async ({ from, to, allowed }) => {
      const root = new Root()
      await root.done('create a')
      root.put('a', stateText({ state: from, blockIndex: 7, future: 1.0 }))
      const { status, stdout, stderr } = await root.cli(`transition a ${to}${options.replace('FROM', from)}`)
      expect({ status, stdout }).toEqual({ status: allowed ? 0 : 1, stdout: '' })
      expect(stderr).toMatch(
        allowed ? /^$/ : /^sandbox-state: INVALID_TRANSITION: sandbox a: cannot move from .+\n$/,
      )
      expect(root.file('a')).toMatchObject({ state: allowed ? to : from, blockIndex: 7, future: 1 })
    })
  }

  it('refuses when the sandbox is in another state than --from says', async () => {
    const root = new Root()
    await root.done('create a')
    const { status, stdout, stderr } = await root.cli('transition a running --from paused --format json')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(JSON.parse(stderr)).toMatchObject({
      code: 'STATE_MISMATCH',
      id: 'a',
      from: 'paused',
      to: 'running',
    })
    expect(root.file('a')).toMatchObject({ state: 'ready' })
  })

  it('says a line to a person, and prints the state as JSON when asked', async () => {
    const root = new Root()
    await root.done('create a')
    expect(await root.done('transition a running', { terminal: true })).toBe('a: ready -> running\n')
    expect(await root.done('transition a paused --from running', { terminal: true })).toBe(
      'a: running -> paused\n',
    )
    expect(await root.done('transition a stopped --format json')).toBe(await root.done('state a'))
  })

  it('notes a reason', async () => {
    const root = new Root()
    await root.done('create a')
    await root.done(['transition', 'a', 'running', '--reason', 'first request'])
    await root.done(['transition', 'a', 'stopped', '--from', 'running', '--reason', 'idle'])
    const history = JSON.parse(await root.done('history a --json'))
    expect(history).toMatchObject([{}, { reason: 'first request' }, { to: 'stopped', reason: 'idle' }])
  })

  it.each([
    ['none', 'NOT_FOUND'],
    ['bad', 'CORRUPT_STATE'],
    ['../a', 'INVALID_ID'],
  ])('of %s fails with %s', async (id, code) => {
    const root = new Root()
    root.put('bad', 'nonsense')
    for (const from of ['', ' --from ready']) {
      const { status, stderr } = await root.cli(`transition ${id} running${from}`)
      expect(status).toBe(1)
      expect(stderr).toMatch(new RegExp(`^sandbox-state: ${code}: `))
    }
  })

  it('waits for the lock', async () => {
    const root = new Root()
    await root.done('create a')
    const lock = holdLock(root, 'a')
    const isWaiting = nextChangeWaits()
    const done = root.done('--lock-timeout 60 transition a running')
    await until('the change waits', isWaiting)
    lock[Symbol.dispose]()
    await done
    expect(root.file('a')).toMatchObject({ state: 'running' })
  })

  it('gives up after as long as --lock-timeout says, and names the holder', async () => {
    const root = new Root()
    await root.done('create a')
    using _ = holdLock(root, 'a')
    const { status, stderr } = await root.cli('--lock-timeout 0.3 transition a running')
    expect(status).toBe(1)
    expect(stderr).toMatch(/^sandbox-state: LOCK_TIMEOUT: .+ pid \d+ .+ gave up after 0.3 s\n$/)
    expect((await root.cli('transition a running --lock-timeout 0')).status).toBe(1)
    expect(root.file('a')).toMatchObject({ state: 'ready' })
  })
})
