// What must work in every environment. Copied into projects outside of this one, where sandbox-state is installed.
import { rejects, strictEqual } from 'node:assert'
import { existsSync } from 'node:fs'
import { openStore } from 'sandbox-state'

/** @param root a folder that does not exist yet */
export async function check(root) {
  if ('Deno' in globalThis) return checkRefusal(root)
  const store = await openStore(root)
  await rejectsWith('NOT_FOUND', store.read('a'))
  equal(await all(store.list()), [])

  const watching = store.watch()
  const created = watching.next()
  equal((await store.create('a', { cgroupPath: '/kata/a' })).state, 'ready')
  const { type, id } = (await created).value
  equal([type, id], ['created', 'a'])
  await watching.return()

  await rejectsWith('ALREADY_EXISTS', store.create('a'))
  await rejectsWith('STATE_MISMATCH', store.transition('a', 'paused', 'running'))
  equal((await store.transition('a', 'ready', 'running')).state, 'running')
  equal((await store.update('a', state => ({ ...state, blockIndex: 7 }))).blockIndex, 7)
  equal((await store.read('a')).cgroupPath, '/kata/a')
  // At once: on a disk they are made in a thread of ours.
  const ids = ['b', 'c', 'd', 'e']
  for (const { state } of await Promise.all(ids.map(id => store.create(id)))) equal(state, 'ready')
  const twice = await Promise.allSettled(ids.map(id => store.create(id)))
  equal(twice.map(({ reason }) => reason?.code).join(), ids.map(() => 'ALREADY_EXISTS').join())

  equal(
    (await all(store.list())).map(({ id }) => id),
    ['a', ...ids],
  )
  equal(
    (await all(store.history('a'))).map(({ to }) => to),
    ['ready', 'running', 'running'],
  )
  equal(await all(store.check()), [])

  await rejectsWith('INVALID_TRANSITION', store.delete('a'))
  await store.delete('a', { force: true })
  await rejectsWith('NOT_FOUND', store.delete('a'))
  for (const id of ids) await store.delete(id)
  equal(await all(store.list()), [])
  await store.close()
  await rejectsWith('CLOSED', store.read('a'))
}

async function checkRefusal(root) {
  await rejectsWith('UNSUPPORTED', openStore(root))
  equal(existsSync(root), false)
}

async function all(items) {
  const list = []
  for await (const item of items) list.push(item)
  return list
}

/** By their texts: objects of two realms are never deeply equal. */
function equal(actual, expected) {
  strictEqual(JSON.stringify(actual), JSON.stringify(expected))
}

function rejectsWith(code, call) {
  return rejects(call, error => {
    strictEqual(`${error.name} ${error.code}`, `StateStoreError ${code}`)
    return true
  })
}
