import { backAndForth } from '../contenders.mjs'
import { takeTurns } from '../measure.mjs'

// One process, one sandbox, one call after another.

export const transition = {
  name: 'transition',
  title: 'One process, one sandbox: transition back and forth',
  run: context =>
    withOne(context, Object.keys(context.contenders), 'transition', opened => backAndForth(opened, 'one')),
}

export const update = {
  name: 'update',
  title: 'One process, one sandbox: update of one field',
  run: context => withOne(context, withoutLocked(context), 'update', opened => () => opened.increment('one')),
}

export const read = {
  name: 'read',
  title: 'One process, one sandbox: read',
  run: context => withOne(context, withoutLocked(context), 'read', opened => () => opened.read('one')),
}

export const create = {
  name: 'create',
  title: 'One process, one sandbox: create, then delete',
  run: context =>
    withOne(context, withoutLocked(context), 'create + delete', opened => () => {
      const made = opened.create('two')
      return made instanceof Promise ? made.then(() => opened.delete('two')) : opened.delete('two')
    }),
}

/** That one makes transitions only. */
function withoutLocked({ contenders }) {
  return Object.keys(contenders).filter(name => name !== 'locked')
}

async function withOne(context, names, what, operationOf) {
  const everyone = await context.openEveryone(names)
  try {
    const operations = {}
    for (const [name, opened] of Object.entries(everyone)) {
      await opened.create('one')
      await opened.transition('one', 'ready', 'running')
      operations[name] = operationOf(opened)
    }
    return await takeTurns(what, operations, context)
  } finally {
    for (const opened of Object.values(everyone)) await opened.close()
  }
}
