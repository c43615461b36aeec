import { backAndForth, withContenders } from '../contenders.mjs'
import { timeCalls } from '../measure.mjs'
import { PLACES } from '../places.mjs'

// One process, one sandbox, one call after another.

const ALL = ['floor', 'locked', 'naive', 'ours', 'sqlite', 'lmdb']
/** `locked` only makes transitions. */
const WITHOUT_LOCKED = ALL.filter(name => name !== 'locked')

export const transition = {
  name: 'transition',
  title: 'One process, one sandbox: transition back and forth',
  on: PLACES,
  measure: context => timeOne(context, ALL, 'transition', opened => backAndForth(opened, 'one')),
}

export const update = {
  name: 'update',
  title: 'One process, one sandbox: update of one field',
  on: ['tmpfs', 'disk'],
  measure: context => timeOne(context, WITHOUT_LOCKED, 'update', opened => () => opened.increment('one')),
}

export const read = {
  name: 'read',
  title: 'One process, one sandbox: read',
  on: ['tmpfs', 'disk'],
  measure: context => timeOne(context, WITHOUT_LOCKED, 'read', opened => () => opened.read('one')),
}

export const create = {
  name: 'create',
  title: 'One process, one sandbox: create, then delete',
  on: ['tmpfs', 'disk'],
  measure: context =>
    timeOne(context, WITHOUT_LOCKED, 'create + delete', opened => () => {
      const made = opened.create('two')
      return made instanceof Promise ? made.then(() => opened.delete('two')) : opened.delete('two')
    }),
}

function timeOne(context, names, what, operationOf) {
  return withContenders(context, names, ['one'], everyone => {
    const operations = Object.entries(everyone).map(([name, opened]) => [name, operationOf(opened)])
    return timeCalls(what, Object.fromEntries(operations), context)
  })
}
