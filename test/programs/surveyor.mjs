// Reports all that a store says of a root: surveyor.mjs ROOT
// Each of list, locks, check, repair and, once more, check is its rows, or the error that ended it.
import { openStore } from 'sandbox-state'

const [root] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 500 })

async function rows(items) {
  const rows = []
  try {
    for await (const { id, path, code, action, error, holder } of await items) {
      rows.push({ id, path, code: code ?? error?.code, action, lock: holder?.lock })
    }
    return rows
  } catch (error) {
    return [...rows, { thrown: error.name, code: error.code, message: error.message }]
  }
}

const report = {
  list: await rows(store.list()),
  locks: await rows(store.locks()),
  check: await rows(store.check()),
  repair: await rows(store.repair()),
  checkedAgain: await rows(store.check()),
}
await store.close()
process.send(report, () => process.disconnect())
