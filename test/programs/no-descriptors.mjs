// Has no descriptor left at its first call of a kind, then some again: no-descriptors.mjs ROOT CALL [NUMBER]
// With a number, a change was made before, and so many descriptors are left. Reports what came of CALL of sandboxes `a`
// and `b` without descriptors, of both with some again, and of closing the store.
import { closeSync, openSync } from 'node:fs'
import { openStore } from 'sandbox-state'
import { all } from './all.mjs'
import { inShort } from './changes.mjs'

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

const calls = {
  create: id => store.create(id),
  update: id => store.update(id, state => state),
  locks: () => all(store.locks()),
  check: () => all(store.check()),
  repair: () => store.repair(),
}

if (left !== undefined) await store.create(`x-${process.pid}`)
const giveBack = exhaust(Number(left ?? 0))
const without = [await inShort(calls[call]('a')), await inShort(calls[call]('b'))]
giveBack()
const withSome = [await inShort(calls[call]('a')), await inShort(calls[call]('b'))]
process.send({ without, withSome, closed: await inShort(store.close()) }, () => process.disconnect())
