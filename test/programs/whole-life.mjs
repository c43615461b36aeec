// Leads sandboxes through all that can be done with them, below ROOT/UMASK for each umask, and reports what went wrong:
// whole-life.mjs ROOT [FIRST LAST [STEP]]. Without a parent it prints that, and fails.
import { lstatSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from '../../dist/index.js'

const [root, first = '18', last = first, step = '1'] = process.argv.slice(2)
const failures = []
for (let umask = Number(first); umask <= Number(last); umask += Number(step)) {
  const before = process.umask(umask)
  try {
    await live(join(root, umask.toString(8)))
  } catch ({ message }) {
    failures.push(`umask ${umask.toString(8)}: ${message}`)
  }
  process.umask(before)
}
if (process.send) process.send(failures, () => process.disconnect())
else if (failures.length > 0) {
  console.error(failures.join('\n'))
  process.exitCode = 1
}

async function live(root) {
  const store = await openStore(root, { durable: false, lockTimeout: 500 })
  try {
    for (const id of ['a', 'b']) await store.create(id)
    await store.transition('a', 'ready', 'running')
    await store.update('a', state => ({ ...state, blockIndex: 7 }))
    await expectNothing(store.check())
    const inFolder = ['state.json', 'lock', 'history.jsonl']
    for (const name of ['', ...inFolder]) expectSame(modeOf(root, 'a', name), name === '' ? 0o700 : 0o600)

    writeFileSync(join(root, 'b', 'state.json'), '{')
    const planned = (await store.repair({ dryRun: true })).map(({ action }) => action)
    expectSame(planned.join(), 'moved')
    const done = (await store.repair()).map(({ action }) => action)
    expectSame(done.join(), planned.join())
    await store.create('b')
    for (const id of ['a', 'b']) await store.delete(id, { force: true })
    await expectNothing(store.list())
    await expectNothing(store.check())
  } finally {
    await store.close()
  }
}

function modeOf(...path) {
  return lstatSync(join(...path)).mode & 0o777
}

function expectSame(value, expected) {
  if (value !== expected) throw new Error(`${value} instead of ${expected}`)
}

async function expectNothing(rows) {
  for await (const row of rows) throw new Error(row.message ?? JSON.stringify(row))
}
