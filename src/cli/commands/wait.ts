import { StateStoreError } from '../../errors.js'
import { STATES, type StateString } from '../../state/machine.js'
import type { SandboxStore } from '../../store.js'
import { printMade } from '../changed.js'
import type { Define } from '../commands.js'
import { TimeoutError } from '../errors.js'
import { helpTail, INTERRUPTED } from '../help.js'
import {
  type ChangeFormat,
  changeFormatOption,
  choiceArgument,
  idArgument,
  timerSeconds,
} from '../options.js'

interface Options {
  /** In seconds. */
  readonly timeout?: number
  readonly format: ChangeFormat
}

type Wanted = StateString | 'deleted'

export const define: Define = (command, cli) =>
  command
    .description('Wait until a sandbox is in a state, or is deleted, whoever changes it.')
    .addArgument(idArgument())
    .addArgument(choiceArgument('state', 'what to wait for', [...STATES, 'deleted']))
    .option('--timeout <seconds>', 'how long to wait; without it, for ever', timerSeconds)
    .addOption(changeFormatOption())
    .addHelpText(
      'after',
      helpTail({
        notes: `A state that is soon left again may go by unseen. On a terminal it says in one
line what it saw. With --format json it prints the state, or null once deleted.`,
        examples: [
          ['wait a stopped', 'until it stops'],
          ['wait a deleted --timeout 30', 'until it is gone, at most 30 s'],
        ],
        done: 'the state was reached, or already was',
        failed:
          'NOT_FOUND (also when it is deleted meanwhile), INVALID_ID, INVALID_STATE, CORRUPT_STATE, IO_ERROR',
        others: [['124', 'it was not reached in time (TIMEOUT)'], INTERRUPTED],
      }),
    )
    .action((id: string, wanted: Wanted, { timeout, format }: Options) =>
      cli.withStore(command, async store => {
        using progress = cli.progress()
        progress.show(`waiting until ${id} is ${wanted}`)
        const state = await waited(store, id, wanted, timeout)
        await printMade(cli, { id, state: state ?? null, words: wanted }, format)
      }),
    )

async function waited(store: SandboxStore, id: string, wanted: Wanted, timeout: number | undefined) {
  if (timeout === undefined) return store.waitFor(id, wanted)
  const ended = new AbortController()
  const timer = setTimeout(() => ended.abort(), timeout * 1000)
  try {
    return await store.waitFor(id, wanted, { signal: ended.signal })
  } catch (error) {
    if (!ended.signal.aborted || error instanceof StateStoreError) throw error
    return await lastLook(store, id, wanted, timeout)
  } finally {
    clearTimeout(timer)
  }
}

/** What has come just now, or was there all the time when there was no time to wait, counts. */
async function lastLook(store: SandboxStore, id: string, wanted: Wanted, timeout: number) {
  try {
    const state = await store.read(id)
    if (state.state === wanted) return state
    throw new TimeoutError(`sandbox ${id} is not ${wanted} after ${timeout} s, but ${state.state}`, id)
  } catch (error) {
    if (wanted === 'deleted' && error instanceof StateStoreError && error.code === 'NOT_FOUND')
      return undefined
    throw error
  }
}
