import { openStore } from 'sandbox-state'
import { exampleState } from './floor.mjs'

export const about = 'this package, with its defaults: durable, with history'

export const version = () => 'sandbox-state'

export async function open(root) {
  const store = await openStore(root, { lockTimeout: 60_000 })
  const { state: _, ...fields } = exampleState('ready')
  return {
    store,
    create: id => store.create(id, fields),
    transition: (id, from, to) => store.transition(id, from, to),
    update: (id, next) => store.update(id, next),
    increment: id => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
    read: id => store.read(id),
    delete: id => store.delete(id),
    close: () => store.close(),
  }
}
