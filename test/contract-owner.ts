import { once } from 'node:events'
import { hostname } from 'node:os'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { all } from './support/all.js'
import { own, ownershipOf } from './support/owner.js'
import { openTestStore } from './support/store.js'
import { settled } from './support/wait.js'

/** What every backend must do about owners, as far as one process can show it. */
export function describeOwnerContract(name: string, makeRoot: () => string | Promise<string>): void {
  /** Two stores on one root, with some running sandboxes. */
  async function setUp(...ids: readonly string[]) {
    const root = await makeRoot()
    const [store, other] = [await openTestStore(root), await openTestStore(root)]
    for (const id of ids) {
      await store.create(id)
      await store.transition(id, 'ready', 'running')
    }
    return { store, other }
  }

  describe(`ownership (${name})`, () => {
    test('is shown by inspect and list until it is released', async () => {
      const { store, other } = await setUp('a', 'b')
      expect((await store.inspect('a')).owner).toBeNull()
      const owner = await own(store)
      const shown = { state: 'owned', pid: process.pid, host: hostname(), command: expect.any(String) }
      expect((await other.inspect('a')).owner).toMatchObject(shown)
      expect(await all(other.list())).toMatchObject([{ id: 'a', owner: shown }, { id: 'b' }])
      expect(await all(other.list({ owner: 'owned' }))).toMatchObject([{ id: 'a' }])
      expect(await all(other.list({ owner: 'unowned' }))).toMatchObject([{ id: 'b' }])
      await Promise.all([owner.release(), owner.release()])
      expect(owner.signal.aborted).toBe(false)
      expect(owner.fd).toBe(-1)
      expect(await all(store.list({ owner: 'unowned' }))).toHaveLength(2)
      const next = await own(other)
      await owner.release()
      expect(await ownershipOf(store)).toBe('owned')
      expect(next.signal.aborted).toBe(false)
    })

    test('belongs to one at a time, also when many ask at once', async () => {
      const { store, other } = await setUp('a')
      const asked = await Promise.allSettled([store, other, store, other].map(each => each.own('a')))
      const owners = asked.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
      const refusals = asked.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))
      expect(owners).toHaveLength(1)
      const message = expect.stringContaining(`sandbox a is owned by pid ${process.pid} (`)
      for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'OWNED', id: 'a', message })
      await owners[0]?.release()
    })

    test('with wait comes when the owner releases it, to one at a time', async () => {
      const { store, other } = await setUp('a')
      const owner = await own(store)
      let owners = 0
      const waits = [store, other, other].map(async each => {
        const next = await each.own('a', { wait: true })
        expect(++owners).toBe(1)
        await nextTurn()
        owners--
        await next.release()
      })
      expect(await settled(Promise.race(waits), 100)).toBe('pending')
      await owner.release()
      expect(await settled(Promise.all(waits))).toHaveLength(3)
    })

    test('with wait ends with its signal, with the store, and with the sandbox', async () => {
      const { store, other } = await setUp('a')
      await own(store)
      const abort = new AbortController()
      const aborted = other.own('a', { wait: true, signal: abort.signal })
      const closed = other.own('a', { wait: true })
      const deleted = store.own('a', { wait: true })
      abort.abort(new Error('enough'))
      await expect(aborted).rejects.toThrow('enough')
      await Promise.all([expect(closed).rejects.toMatchObject({ code: 'CLOSED' }), other.close()])
      expect(await settled(deleted, 100)).toBe('pending')
      await store.delete('a', { force: true })
      await expect(deleted).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(store.own('b', { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no')
    })

    test('ends with a signal that is aborted just after the call, while another call has its turn', async () => {
      const { store } = await setUp('a')
      const abort = new AbortController()
      const change = store.update('a', state => ({ ...state, blockIndex: 1 }))
      const aborted = store.own('a', { signal: abort.signal })
      abort.abort(new Error('enough'))
      await expect(aborted).rejects.toThrow('enough')
      await change
    })

    test('outlives its store, and ends with await using', async () => {
      const { store, other } = await setUp('a')
      {
        await using owner = await other.own('a')
        await other.close()
        expect(owner.id).toBe('a')
        expect(await ownershipOf(store)).toBe('owned')
      }
      expect(await ownershipOf(store)).toBe('unowned')
    })

    test('ends when the sandbox is deleted; the next of that id has no owner', async () => {
      const { store, other } = await setUp('a')
      const owner = await own(store)
      const lost = once(owner.signal, 'abort')
      await other.delete('a', { force: true })
      await other.create('a')
      expect(await ownershipOf(store)).toBe('unowned')
      const next = await own(other)
      expect(await settled(lost)).not.toBe('pending')
      expect(['NOT_FOUND', 'OWNED']).toContain(owner.signal.reason.code)
      await owner.release()
      expect(await ownershipOf(store)).toBe('owned')
      expect(next.signal.aborted).toBe(false)
    })

    test('is no condition of a change; what is owned, or never was, is no orphan', async () => {
      const { store, other } = await setUp('a', 'b')
      await own(store)
      expect(await all(other.orphans())).toEqual([])
      expect(await all(other.reap())).toEqual([])
      await other.transition('a', 'running', 'paused')
      expect(await ownershipOf(other)).toBe('owned')
    })

    test('is refused for what is no sandbox', async () => {
      const { store } = await setUp()
      await expect(store.own('b')).rejects.toMatchObject({ code: 'NOT_FOUND', id: 'b' })
      await expect(store.own('../a')).rejects.toMatchObject({ code: 'INVALID_ID' })
      await expect(store.own('a', { wait: 1 as unknown as boolean })).rejects.toThrow(TypeError)
    })
  })
}
