// The first calls of a process, made at once, before anything that they need is loaded: cold-start.mjs ROOT
// Prints the state that each update was given.
import { openStore } from 'sandbox-state'

const store = await openStore(process.argv[2])
const seen = []
const see = state => {
  seen.push(state.state)
  return state
}
const calls = [
  store.create('a'),
  store.update('a', see),
  store.transition('a', 'ready', 'running'),
  store.update('a', see),
  store.transition('a', 'running', 'stopped'),
  store.update('a', see),
  store.delete('a'),
]
const closed = store.close()
await Promise.all([...calls, closed])
console.log(seen.join())
