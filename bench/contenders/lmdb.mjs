import { join } from 'node:path'
import { checkTransition } from 'sandbox-state'
import { alternative, versionOf } from '../alternatives.mjs'
import { exampleState } from './floor.mjs'

export const about = 'LMDB, synchronous transactions, each flushed before it returns. No history'

const lmdb = alternative('lmdb')

export const version = () => `lmdb ${versionOf('lmdb')}`

export function open(root) {
  const database = lmdb.open({ path: join(root, 'states.mdb'), encoding: 'json', overlappingSync: false })
  return {
    create: id => database.putSync(id, exampleState('ready')),
    transition: (id, from, to) =>
      change(id, state => {
        checkTransition(state.state, from, to)
        return { ...state, state: to }
      }),
    increment: id => change(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
    read: id => database.get(id),
    delete: id => database.removeSync(id),
    close: () => database.close(),
  }

  function change(id, next) {
    database.transactionSync(() => database.putSync(id, next(database.get(id))))
  }
}
