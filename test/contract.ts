import { openStore, type SandboxStore, STATES, TRANSITIONS } from 'sandbox-state'
import { describe, expect, test } from 'vitest'
import { all } from './support/all.js'
import { openTestStore } from './support/store.js'

/** What every backend must do: one list of cases, run over each of them. */
export function describeContract(name: string, makeRoot: () => string | Promise<string>): void {
  async function open(): Promise<SandboxStore> {
    return openTestStore(await makeRoot())
  }

  describe(`a store (${name})`, () => {
    test('makes a sandbox that is ready, and reads it', async () => {
      const store = await open()
      const made = await store.create('a', {
        cgroupPath: '/kata/x',
        blockIndex: 2,
        guestMemoryBlockSize: 128,
      })
      expect(made).toEqual({
        state: 'ready',
        blockIndex: 2,
        guestMemoryBlockSize: 128,
        guestMemoryHotplugProbe: false,
        cgroupPath: '/kata/x',
        persistVersion: 0,
      })
      expect(await store.read('a')).toEqual(made)
    })

    test('finds after it was reopened what it kept before', async () => {
      const root = await makeRoot()
      const first = await openStore(root)
      await first.create('a', { guestMemoryHotplugProbe: true })
      await first.transition('a', 'ready', 'running')
      await first.close()
      const second = await openTestStore(root)
      expect(await second.read('a')).toMatchObject({ state: 'running', guestMemoryHotplugProbe: true })
    })

    test('refuses a second create of an id and keeps the first', async () => {
      const store = await open()
      await store.create('a', { blockIndex: 1 })
      await expect(store.create('a', { blockIndex: 2 })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
        id: 'a',
      })
      expect((await store.read('a')).blockIndex).toBe(1)
    })

    test.each(STATES.flatMap(from => STATES.map(to => [from, to] as const)))(
      'moves from %s to %s only if the state machine allows it',
      async (from, to) => {
        const store = await open()
        await store.create('a')
        await bring(store, from)
        const allowed: readonly string[] = TRANSITIONS[from]
        if (allowed.includes(to)) {
          expect((await store.transition('a', from as 'ready', to as never)).state).toBe(to)
        } else {
          const move = store.transition('a', from as 'ready', to as never)
          await expect(move).rejects.toMatchObject({ code: 'INVALID_TRANSITION', id: 'a', from, to })
        }
        expect((await store.read('a')).state).toBe(allowed.includes(to) ? to : from)
      },
    )

    test('refuses a transition from another state than the current one', async () => {
      const store = await open()
      await store.create('a')
      const move = store.transition('a', 'paused', 'running')
      await expect(move).rejects.toMatchObject({
        code: 'STATE_MISMATCH',
        id: 'a',
        from: 'paused',
        to: 'running',
      })
      expect((await store.read('a')).state).toBe('ready')
    })

    test('reports a sandbox that does not exist as NOT_FOUND', async () => {
      const store = await open()
      const missing = { code: 'NOT_FOUND', id: 'nobody' }
      await expect(store.read('nobody')).rejects.toMatchObject(missing)
      await expect(store.transition('nobody', 'ready', 'running')).rejects.toMatchObject(missing)
      await expect(store.update('nobody', state => state)).rejects.toMatchObject(missing)
      await expect(store.delete('nobody')).rejects.toMatchObject(missing)
      await expect(store.delete('nobody', { force: true })).rejects.toMatchObject(missing)
    })

    test('updates fields, once and with the current state', async () => {
      const store = await open()
      await store.create('a', { blockIndex: 7 })
      const seen: number[] = []
      const updated = await store.update('a', state => {
        seen.push(state.blockIndex)
        return { ...state, blockIndex: state.blockIndex + 1, persistVersion: 3 }
      })
      expect(seen).toEqual([7])
      expect(updated).toMatchObject({ blockIndex: 8, persistVersion: 3 })
      expect(await store.read('a')).toMatchObject({ blockIndex: 8, persistVersion: 0 })
    })

    test('lets an update move the state only as the state machine allows', async () => {
      const store = await open()
      await store.create('a')
      expect(await store.update('a', state => ({ ...state, state: 'running' }))).toMatchObject({
        state: 'running',
      })
      const back = store.update('a', state => ({ ...state, state: 'ready' }))
      await expect(back).rejects.toMatchObject({
        code: 'INVALID_TRANSITION',
        id: 'a',
        from: 'running',
        to: 'ready',
      })
    })

    test('leaves everything as it was when an update throws, or returns something else than a state', async () => {
      const store = await open()
      const made = await store.create('a')
      const mine = new Error('mine')
      const fail = () => {
        throw mine
      }
      await expect(store.update('a', fail)).rejects.toBe(mine)
      for (const update of [() => undefined, async () => made, async () => fail()]) {
        await expect(store.update('a', update as never)).rejects.toBeInstanceOf(TypeError)
      }
      for (const wrong of [
        { state: 'dead' },
        { blockIndex: 1.5 },
        { blockIndex: '1' },
        { guestMemoryBlockSize: -1 },
        { guestMemoryBlockSize: 2 ** 32 },
        { guestMemoryHotplugProbe: 0 },
        { cgroupPath: null },
        { pid: 1 },
      ]) {
        const update = store.update('a', state => ({ ...state, ...wrong }) as never)
        await expect(update).rejects.toMatchObject({
          name: 'StateStoreError',
          code: 'INVALID_STATE',
          id: 'a',
        })
      }
      await expect(store.update('a', () => ({ blockIndex: 5 }) as never)).rejects.toMatchObject({
        code: 'INVALID_STATE',
        id: 'a',
        message: 'sandbox a: an update must return the whole state, such as { ...state, blockIndex: 1 }',
      })
      expect(await store.read('a')).toEqual(made)
    })

    test('keeps nothing of what a failing update changed in place', async () => {
      const store = await open()
      await store.create('a')
      const failed = store.update('a', state => {
        state.blockIndex = 99
        throw new Error('no')
      })
      await expect(failed).rejects.toThrow('no')
      expect((await store.read('a')).blockIndex).toBe(0)
    })

    test('deletes, but not a running sandbox unless forced', async () => {
      const store = await open()
      await store.create('a')
      await store.transition('a', 'ready', 'running')
      await expect(store.delete('a')).rejects.toMatchObject({ code: 'INVALID_TRANSITION', id: 'a' })
      expect((await store.read('a')).state).toBe('running')
      await store.delete('a', { force: true })
      await expect(store.read('a')).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await store.create('a')
      await store.delete('a')
      expect(await all(store.list())).toEqual([])
    })

    test('lists sorted by id, all or those in a state', async () => {
      const store = await open()
      expect(await all(store.list())).toEqual([])
      for (const id of ['b', 'a', 'C', 'a.1', 'a-1']) await store.create(id)
      await store.transition('b', 'ready', 'running')
      const ids = (await all(store.list())).map(({ id }) => id)
      expect(ids).toEqual(['C', 'a', 'a-1', 'a.1', 'b'])
      const running = await all(store.list({ state: 'running' }))
      expect(running).toMatchObject([{ id: 'b', state: await store.read('b') }])
      expect(running).toHaveLength(1)
    })

    test.each([
      '',
      '.',
      '..',
      'a/b',
      '/a',
      'a\0',
      '.a',
      '-a',
      '_a',
      'a b',
      'ä',
      'a'.repeat(129),
      'a\n',
      '__proto__',
    ])('refuses the id %j in every call', async id => {
      const store = await open()
      const invalid = { name: 'StateStoreError', code: 'INVALID_ID' }
      await expect(store.create(id)).rejects.toMatchObject(invalid)
      await expect(store.read(id)).rejects.toMatchObject(invalid)
      await expect(store.transition(id, 'ready', 'running')).rejects.toMatchObject(invalid)
      await expect(store.update(id, state => state)).rejects.toMatchObject(invalid)
      await expect(store.delete(id)).rejects.toMatchObject(invalid)
    })

    test.each(['a', 'A9', 'a..b', 'constructor', 'toString', '0', 'a'.repeat(128), 'lock', 'state.json'])(
      'takes the id %j',
      async id => {
        const store = await open()
        await store.create(id)
        expect((await store.transition(id, 'ready', 'stopped')).state).toBe('stopped')
        expect(await all(store.list())).toMatchObject([{ id }])
        await store.delete(id)
      },
    )

    test('refuses bad arguments', async () => {
      const store = await open()
      await store.create('a')
      await expect(store.read(1 as never)).rejects.toBeInstanceOf(TypeError)
      await expect(store.transition('a', 'ready', 'gone' as never)).rejects.toMatchObject({
        code: 'INVALID_STATE',
      })
      await expect(store.transition('a', 'ready', '__proto__' as never)).rejects.toMatchObject({
        code: 'INVALID_STATE',
      })
      await expect(store.transition('a', 5 as never, 'running' as never)).rejects.toThrow(
        /^from must be a state, not 5$/,
      )
      await expect(store.transition('a', 'ready', undefined as never)).rejects.toThrow(TypeError)
      await expect(store.update('a', 'x' as never)).rejects.toBeInstanceOf(TypeError)
      await expect(store.delete('a', { force: 1 as never })).rejects.toBeInstanceOf(TypeError)
      await expect(store.create('b', { state: 'running' } as never)).rejects.toMatchObject({
        code: 'INVALID_STATE',
      })
      await expect(store.create('b', { blockIndex: 2 ** 53 })).rejects.toMatchObject({
        code: 'INVALID_STATE',
      })
      expect(await all(store.list())).toMatchObject([{ id: 'a', state: { state: 'ready' } }])
    })

    test('makes changes of one sandbox in the order in which they were asked for', async () => {
      const store = await open()
      await store.create('a')
      const order: number[] = []
      const updates = Array.from({ length: 50 }, (_, i) =>
        store.update('a', state => {
          order.push(i)
          return { ...state, blockIndex: state.blockIndex + 1 }
        }),
      )
      const states = await Promise.all(updates)
      expect(states.map(({ blockIndex }) => blockIndex)).toEqual(states.map((_, i) => i + 1))
      expect(order).toEqual(states.map((_, i) => i))
    })

    test('makes changes of every kind in that order, and all that were asked for before it is closed', async () => {
      const store = await open()
      await Promise.all([
        store.create('a'),
        store.transition('a', 'ready', 'stopped'),
        store.update('a', state => ({ ...state, blockIndex: 1 })),
        store.delete('a'),
      ])
      const made = store.create('a', { blockIndex: 2 })
      const updated = store.update('a', state => ({ ...state, blockIndex: state.blockIndex + 1 }))
      const closed = store.close()
      await expect(store.create('b')).rejects.toMatchObject({ code: 'CLOSED' })
      await Promise.all([made, closed])
      expect(await updated).toMatchObject({ blockIndex: 3 })
    })

    test('loses nothing when two stores of one process change one sandbox', async () => {
      const root = await makeRoot()
      const stores = [await openTestStore(root), await openTestStore(root)]
      await stores[0]?.create('a')
      await Promise.all(
        Array.from({ length: 60 }, (_, i) =>
          stores[i % 2]?.update('a', state => ({ ...state, blockIndex: state.blockIndex + 1 })),
        ),
      )
      expect((await stores[0]?.read('a'))?.blockIndex).toBe(60)
    })

    test('ends what is under way when it is closed, and refuses the rest', async () => {
      const store = await open()
      await store.create('a')
      const pending = store.transition('a', 'ready', 'running')
      await store.close()
      expect((await pending).state).toBe('running')
      const closed = { name: 'StateStoreError', code: 'CLOSED' }
      await expect(store.read('a')).rejects.toMatchObject(closed)
      await expect(store.create('b')).rejects.toMatchObject(closed)
      await expect(store.list().next()).rejects.toMatchObject(closed)
      await store.close()
    })
  })
}

async function bring(store: SandboxStore, to: (typeof STATES)[number]): Promise<void> {
  if (to === 'ready') return
  await store.transition('a', 'ready', to === 'stopped' ? 'stopped' : 'running')
  if (to === 'paused') await store.transition('a', 'running', 'paused')
}
