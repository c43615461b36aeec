// The changes that tests disturb, each of one sandbox, by what they are called in a message to a program.
import { all } from './all.mjs'

export function changesOf(store) {
  const owners = new Map()
  return {
    create: id => store.create(id, { cgroupPath: '/kata/new' }),
    transition: id => store.transition(id, 'ready', 'running'),
    update: id => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
    delete: id => store.delete(id),
    own: async id => {
      owners.set(id, await store.own(id))
    },
    release: id => owners.get(id).release(),
    // All orphans; the test leaves one.
    reap: async () => (await all(store.reap())).map(({ id }) => id),
  }
}

/** What came of a call, as it can be sent. */
export async function outcomeOf(call) {
  try {
    return { ok: true, result: await call() }
  } catch (error) {
    const { name, code, message, path, cause } = error
    return { ok: false, name, code, message, path, cause: cause?.code, stack: error.stack }
  }
}

/** The same in short: `ok`, or the error's name and code. */
export const inShort = call =>
  call.then(
    () => 'ok',
    ({ name, code }) => ({ name, code }),
  )
