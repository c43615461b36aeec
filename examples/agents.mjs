// Sandboxes of coding agents. The state of each holds its image, ports and owner, checked by zod.
//
//     node examples/agents.mjs ROOT start OWNER IMAGE [PORT...]   prints the id of a new one
//     node examples/agents.mjs ROOT open ID PORT                  opens another port
//     node examples/agents.mjs ROOT list OWNER
//     node examples/agents.mjs ROOT stop ID REASON
//     node examples/agents.mjs ROOT sweep DAYS                    deletes those that stopped at least DAYS ago
//
// Data is for programs, labels are for people and lists. The owner is in both, so that `sandbox-state list --label owner=ann`
// finds it. A real program would start the sandbox itself before it prints the id.
import { randomUUID } from 'node:crypto'
import { openStore } from 'sandbox-state'
import * as z from 'zod'

const Agent = z.object({
  image: z.string().regex(/^[\w./-]+:[\w.-]+$/, 'must have a tag, such as alpine:3.20'),
  ports: z.array(z.int().min(1).max(65535)).max(16),
  owner: z.string().min(1),
})

const [root, command, ...args] = process.argv.slice(2)
const COMMANDS = { start, open, list, stop, sweep }
if (COMMANDS[command] === undefined) {
  console.error('usage: node examples/agents.mjs ROOT start|open|list|stop|sweep ...')
  process.exit(2)
}
// In TypeScript `state.data` is now of the type z.infer<typeof Agent>.
const store = await openStore(root, { data: Agent })
try {
  await COMMANDS[command](...args)
} catch (error) {
  console.error(error.message) // For example: sandbox x: data.image: must have a tag, such as alpine:3.20
  process.exitCode = 1
} finally {
  await store.close()
}

async function start(owner, image, ...ports) {
  const id = `agent-${randomUUID()}`
  const data = { image, ports: ports.map(Number), owner }
  await store.create(id, { data, labels: { owner } }, { reason: `${owner} asked for it` })
  await store.transition(id, 'ready', 'running')
  console.log(id)
}

async function open(id, port) {
  const opened = state => ({ ...state, data: { ...state.data, ports: [...state.data.ports, Number(port)] } })
  await store.update(id, opened, { reason: `port ${port} opened` })
}

async function list(owner) {
  for await (const { id, state, error } of store.list({ labels: { owner } })) {
    if (error !== undefined) console.log(`${id} ${error.code}`)
    else console.log(`${id} ${state.state} ${state.data.image} ${state.data.ports.join(',')}`)
  }
}

async function stop(id, reason) {
  await store.transition(id, 'running', 'stopped', { reason })
}

async function sweep(days) {
  for await (const { id, state } of store.prune({ olderThan: Number(days) * 86_400_000 })) {
    console.log(`${id} of ${state.data.owner} deleted`)
  }
}
