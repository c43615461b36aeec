import { join } from 'node:path'
import { checkTransition } from 'sandbox-state'
import { alternative, versionOf } from '../alternatives.mjs'
import { exampleState } from './floor.mjs'

export const about =
  'SQLite, one table, journal_mode=WAL and synchronous=FULL, synchronous calls on the event loop. No history'

const { Database, from } = await load()

export const version = () => from

/** Both packages have the methods used here, under the same names. */
async function load() {
  try {
    const { DatabaseSync } = await import('node:sqlite')
    return { Database: DatabaseSync, from: `node:sqlite of ${process.version}` }
  } catch {
    return { Database: alternative('better-sqlite3'), from: `better-sqlite3 ${versionOf('better-sqlite3')}` }
  }
}

export function open(root) {
  const database = new Database(join(root, 'states.db'))
  database.exec('PRAGMA busy_timeout = 60000')
  database.exec('PRAGMA journal_mode = WAL')
  database.exec('PRAGMA synchronous = FULL')
  database.exec('CREATE TABLE IF NOT EXISTS sandbox (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID')
  const select = database.prepare('SELECT state FROM sandbox WHERE id = ?')
  const insert = database.prepare('INSERT INTO sandbox VALUES (?, ?)')
  const replace = database.prepare('UPDATE sandbox SET state = ? WHERE id = ?')
  const remove = database.prepare('DELETE FROM sandbox WHERE id = ?')
  return {
    create: id => insert.run(id, JSON.stringify(exampleState('ready'))),
    transition: (id, from, to) =>
      change(id, state => {
        checkTransition(state.state, from, to)
        return { ...state, state: to }
      }),
    increment: id => change(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
    read,
    delete: id => remove.run(id),
    close: () => database.close(),
  }

  function read(id) {
    return JSON.parse(select.get(id).state)
  }

  function change(id, next) {
    database.exec('BEGIN IMMEDIATE')
    try {
      replace.run(JSON.stringify(next(read(id))), id)
      database.exec('COMMIT')
    } catch (error) {
      database.exec('ROLLBACK')
      throw error
    }
  }
}
