// Has no descriptor left at its first call of a kind, then some again: no-descriptors.mjs ROOT CALL [NUMBER]
// With a number, a change was made before, and so many descriptors are left. Reports what came of CALL of sandboxes `a`
// and `b` without descriptors, of both with some again, and of closing the store.
import { closeSync, openSync } from 'node:fs'
import { openStore } from 'sandbox-state'

const [root, call, left] = process.argv.slice(2)
const store = await openStore(root, { lockTimeout: 0 })

/** Opens files until only this many more can be opened. */
function exhaust(left) {
  const open = []
  try {
    for (;;) open.push(openSync('/dev/null'))
  } catch {
    // Not one more.
  }
  for (const fd of open.splice(0, left)) closeSync(fd)
  return () => open.forEach(closeSync)
}

async function all(items) {
  for await (const _ of items);
}

const calls = {
  create: id => store.create(id),
  update: id => store.update(id, state => state),
  read: id => store.read(id),
  locks: () => all(store.locks()),
  check: () => all(store.check()),
  repair: () => store.repair(),
}
const outcome = call =>
  call.then(
    () => 'ok',
    error => ({ name: error.name, code: error.code }),
  )

if (left !== undefined) await store.create(`x-${process.pid}`)
const giveBack = exhaust(Number(left ?? 0))
const without = [await outcome(calls[call]('a')), await outcome(calls[call]('b'))]
giveBack()
const withSome = [await outcome(calls[call]('a')), await outcome(calls[call]('b'))]
process.send({ without, withSome, closed: await outcome(store.close()) }, () => process.disconnect())
