import { Argument, Option } from 'commander'
import { STATES, type StateString, TRANSITIONS } from '../../state/machine.js'
import { changeCommand } from '../change.js'
import { move } from '../move.js'
import { changeOptions, REASON } from '../options.js'

const MOVES = STATES.map(state => `  ${state.padEnd(7)} -> ${TRANSITIONS[state].join(', ')}`).join('\n')

export const command = changeCommand({
  description: 'Move a sandbox to another state, if the state machine allows it.',
  notes: `Moves:\n${MOVES}

With --from, only one of several commands that race for the same move succeeds.`,
  examples: [
    ['transition a running', 'start it, or resume it'],
    ['transition a running --from ready', 'start it, unless somebody has'],
    ["transition a stopped --reason 'idle for 1h'", 'stop it, and say why'],
  ],
  done: 'the sandbox is moved, and on the disk',
  failed:
    'it was not moved: STATE_MISMATCH (it is not in the state of --from), INVALID_TRANSITION (there is no such move), NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
  takes: [
    new Argument('<to>', 'the state to move to').choices(STATES),
    new Option('--from <state>', 'only if it is in this state').choices(STATES),
    REASON,
  ],
  async change(store, options, id, to: StateString) {
    const { from } = options
    const how = changeOptions(options)
    if (from !== undefined)
      return { state: await store.transition(id, from, to, how), words: `${from} -> ${to}` }
    const { before, state } = await move(store, id, to, how)
    return { state, words: `${before} -> ${to}` }
  },
})
