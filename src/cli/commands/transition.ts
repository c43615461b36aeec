import { checkMove } from '../../change.js'
import { STATES, type StateString, TRANSITIONS } from '../../state/machine.js'
import type { SandboxState } from '../../state/sandbox-state.js'
import { changeSandbox } from '../change.js'
import type { Define } from '../commands.js'
import { describeChange } from '../help.js'
import { type ChangeFormat, changeFormatOption, choiceArgument, idArgument, stateOption } from '../options.js'

interface Options {
  readonly from?: StateString
  readonly format: ChangeFormat
}

const MOVES = STATES.map(state => `  ${state.padEnd(7)} -> ${TRANSITIONS[state].join(', ')}`).join('\n')

export const define: Define = (command, cli) =>
  describeChange(command, {
    description: 'Move a sandbox to another state, if the state machine allows it.',
    notes: `Moves:\n${MOVES}

With --from, just one of several wins that race for the same move.`,
    examples: [
      ['transition a running', 'start it, or resume it'],
      ['transition a running --from ready', 'start it, unless somebody has'],
    ],
    done: 'the sandbox is moved, and on the disk',
    failed:
      'it was not moved: STATE_MISMATCH (it is not in the state of --from), INVALID_TRANSITION (there is no such move), NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
  })
    .addArgument(idArgument())
    .addArgument(choiceArgument('<to>', 'the state to move to', STATES))
    .addOption(stateOption('--from <state>', 'only if it is in this state'))
    .addOption(changeFormatOption())
    .action((id: string, to: StateString, { from, format }: Options) => {
      return changeSandbox(cli, command, id, format, async store => {
        if (from !== undefined) return moved(from, await store.transition(id, from, to))
        let before: StateString = to
        const state = await store.update(id, current => {
          before = current.state
          // An update may leave the state as it is, but a transition to the present state is refused.
          checkMove(id, before, before, to)
          return { ...current, state: to }
        })
        return moved(before, state)
      })
    })

function moved(from: StateString, state: SandboxState) {
  return { state, words: `${from} -> ${state.state}` }
}
