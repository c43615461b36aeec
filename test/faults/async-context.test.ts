import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test } from 'vitest'
import { filesystems, temporaryFolder } from '../support/root.js'
import { openTestStore } from '../support/store.js'

// A function that a program passes to the store runs in the async context of the call, with its AsyncLocalStorage.

const tenants = [0, 1, 2, 3, 4, 5, 6, 7]

describe.each(filesystems)("a function runs in its caller's own async context, on $name", ({ folder }) => {
  async function setUp() {
    const root = temporaryFolder(folder)
    const store = await openTestStore(root)
    return { store, request: new AsyncLocalStorage<number>() }
  }

  test("eight concurrent updates write each their own tenant's value", async () => {
    const { store, request } = await setUp()
    for (const tenant of tenants) await store.create(`t${tenant}`)
    for (let round = 0; round < 3; round++) {
      const states = await Promise.all(
        tenants.map(tenant =>
          request.run(tenant, () =>
            store.update(`t${tenant}`, state => ({ ...state, blockIndex: request.getStore() ?? -1 })),
          ),
        ),
      )
      expect(states.map(({ blockIndex }) => blockIndex)).toEqual(tenants)
    }
  })

  test('eight concurrent updates of one sandbox, which wait for one another', async () => {
    const { store, request } = await setUp()
    await store.create('a')
    const seen = new Map<number, number | undefined>()
    const update = (tenant: number) =>
      store.update('a', state => {
        seen.set(tenant, request.getStore())
        return state
      })
    await Promise.all(tenants.map(tenant => request.run(tenant, () => update(tenant))))
    expect([...seen.entries()]).toEqual(tenants.map(tenant => [tenant, tenant]))
  })

  test('the progress of a check, though another context loops over its findings', async () => {
    const { store, request } = await setUp()
    for (const id of ['a', 'b', 'c']) await store.create(id)
    const seen = new Set<number | undefined>()
    const findings = request.run(1, () => store.check({ onProgress: () => seen.add(request.getStore()) }))
    await request.run(2, async () => {
      for await (const _ of findings);
    })
    expect([...seen]).toEqual([1])
  })
})
