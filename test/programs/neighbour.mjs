// Creates the sandbox `a` and stays inside a change of it, or asks who holds it: neighbour.mjs ROOT hold|ask
import { openStore } from '../../dist/index.js'

const [root, what] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 200 })
if (what === 'hold') {
  await store.create('a')
  await store.update('a', state => {
    process.stdout.write('inside\n')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000)
    return state
  })
} else {
  const { code, message } = await store.transition('a', 'ready', 'running').catch(error => error)
  const holders = []
  for await (const { holder } of store.locks()) holders.push(holder)
  process.stdout.write(`${JSON.stringify({ code, message, holders })}\n`)
}
await store.close()
