import { describe, expect, it } from 'vitest'
import { choiceMeant } from '#src/cli/hints.js'
import { STATES } from '#src/state/machine.js'

describe('a word that is none of the choices', () => {
  it.each([
    ['runing', 'running'],
    ['runnning', 'running'],
    ['rumning', 'running'],
    ['runnign', 'running'],
    ['Running', 'running'],
    ['run', 'running'],
    ['stop', 'stopped'],
    ['pause', 'paused'],
    ['ready ', 'ready'],
    ['asleep', undefined],
    ['unnign', undefined],
    ['gnrunni', undefined],
    ['r', undefined],
    ['', undefined],
    ['ready running', undefined],
  ])('%j is taken for %j', (given, meant) => {
    expect(choiceMeant(given, STATES)).toBe(meant)
  })
})
