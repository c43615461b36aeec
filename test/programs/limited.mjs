// Changes a sandbox in a process that may not write far into a file: limited.mjs ROOT ID COUNT
import { openStore } from 'sandbox-state'

process.on('SIGXFSZ', () => {}) // Which would end it; with a handler, writing fails instead.
const [root, id, count] = process.argv.slice(2)
const store = await openStore(root)
for (let i = 0; i < Number(count); i++) {
  await store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 }))
}
await store.close()
