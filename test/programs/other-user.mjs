// Checks and repairs a root, and lists its locks, as another user: other-user.mjs ROOT UID

import { listLocks } from '../../dist/file/lock/list-locks.js'
import { openStore } from '../../dist/index.js'
import { all } from './all.mjs'

const [root, uid] = process.argv.slice(2)
process.setgroups([])
process.setgid(Number(uid))
process.setuid(Number(uid))
const store = await openStore(root, { lockTimeout: 200 })
const failure = ({ name, message }) => ({ name, message })
const findings = await all(store.check()).catch(failure)
const repairs = await store.repair().catch(failure)
const locks = await all(listLocks(root)).catch(failure)
await store.close()
process.send({ findings, repairs, locks }, () => process.disconnect())
