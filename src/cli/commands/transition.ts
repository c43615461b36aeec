import { checkMove } from '../../change.js'
import { isValidState, STATES, type StateString, TRANSITIONS } from '../../state/machine.js'
import type { SandboxState } from '../../state/sandbox-state.js'
import { printMade } from '../changed.js'
import type { Define } from '../commands.js'
import { UsageError } from '../errors.js'
import { changeHelpTail } from '../help.js'
import { showingHolder } from '../holder.js'
import { type ChangeFormat, changeFormatOption, idArgument, stateArgument, stateOption } from '../options.js'

interface Options {
  readonly from?: StateString
  readonly format: ChangeFormat
}

const MOVES = STATES.map(state => `  ${state.padEnd(7)} -> ${TRANSITIONS[state].join(', ')}`).join('\n')

export const define: Define = (command, cli) =>
  command
    .description('Move a sandbox to another state, if the state machine allows it.')
    .addArgument(idArgument())
    .addArgument(stateArgument('to', 'the state to move to'))
    .addOption(stateOption('--from <state>', 'only if it is in this state'))
    .addOption(changeFormatOption())
    .allowExcessArguments()
    .addHelpText(
      'after',
      changeHelpTail({
        notes: `Moves:\n${MOVES}

With --from, just one wins of several that race for the same move.`,
        examples: [
          ['transition a running', 'start it, or resume it'],
          ['transition a running --from ready', 'start it, unless somebody has'],
        ],
        done: 'the sandbox is moved, and on the disk',
        failed:
          'it was not moved: STATE_MISMATCH (it is not in the state of --from), INVALID_TRANSITION (there is no such move), NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT or IO_ERROR',
      }),
    )
    .action((id: string, to: StateString, { from, format }: Options) => {
      if (command.args.length > 2) throw tooMany(command.args)
      return cli.withStore(command, async store => {
        let left: StateString | undefined = from
        const move = (current: SandboxState): SandboxState => {
          left = current.state
          // An update may leave the state as it is; a transition to where it is already is refused.
          checkMove(id, left, left, to)
          return { ...current, state: to }
        }
        const state = await showingHolder(cli, store, id, () =>
          from === undefined ? store.update(id, move) : store.transition(id, from, to),
        )
        await printMade(cli, { id, state, words: `${left} -> ${to}` }, format)
      })
    })

/** The library takes the state to move from as an argument, before the one to move to. */
function tooMany([id, from, to, ...more]: readonly string[]): UsageError {
  const isMove = more.length === 0 && isValidState(to)
  const hint = isMove ? `, did you mean: transition ${id} ${to} --from ${from}?` : ''
  return new UsageError(`too many arguments, expected an id and a state${hint}`)
}
