// A sandbox's life below each root, each acknowledgement noted in the trace: story.mjs ROOT:ROOT... CHANGE...
import { openStore } from 'sandbox-state'

const [roots, ...changes] = process.argv.slice(2)
const id = 'x'

for (const root of roots.split(':')) {
  const store = await openStore(root)
  const calls = {
    create: () => store.create(id, { cgroupPath: '/power' }),
    transition: () => store.transition(id, 'ready', 'running'),
    update: () => store.update(id, state => ({ ...state, blockIndex: state.blockIndex + 1 })),
    delete: () => store.delete(id, { force: true }),
    /** Whatever a process that was killed has left. */
    goOn: () =>
      calls.create().catch(error => {
        if (error.code !== 'ALREADY_EXISTS') throw error
        return calls.update()
      }),
  }
  for (const change of changes) {
    await calls[change]()
    globalThis.noteAcknowledged(`${root}/${id}`)
  }
  await store.close()
}
