import { Argument, Option } from 'commander'
import { StateStoreError } from '../../errors.js'
import { STATES, type StateString } from '../../state/machine.js'
import type { SandboxStore } from '../../store.js'
import { printChange } from '../change.js'
import { type CommandSpec, INTERRUPTED } from '../command.js'
import { TimeoutError, unlessCode } from '../errors.js'
import { CHANGE_FORMAT, ID, timerSeconds } from '../options.js'

type Wanted = StateString | 'deleted'

export const command: CommandSpec = {
  description: 'Wait until a sandbox is in a state, or is deleted, no matter who changes it.',
  notes: `A state that lasts only a moment may be missed. On a terminal it says in one
line what it saw. With --format json it prints the state, or null once deleted.`,
  examples: [
    ['wait a stopped', 'until it stops'],
    ['wait a deleted --timeout 30', 'until it is gone, at most 30 s'],
  ],
  done: 'the state was reached, or already was',
  failed: 'NOT_FOUND (also when it is deleted meanwhile), INVALID_ID, INVALID_STATE, CORRUPT_STATE, IO_ERROR',
  others: [['124', 'it was not reached in time (TIMEOUT)'], INTERRUPTED],
  takes: [
    ID,
    new Argument('<state>', 'what to wait for').choices([...STATES, 'deleted']),
    new Option('--timeout <seconds>', 'how long to wait; without it, for ever').argParser(timerSeconds),
    CHANGE_FORMAT,
  ],
  run: (cli, options, id, wanted: Wanted) =>
    cli.withStore(async store => {
      const state = await waited(store, id, wanted, options.timeout)
      await printChange(cli, options, id, { state: state ?? null, words: wanted })
    }),
}

async function waited(store: SandboxStore, id: string, wanted: Wanted, timeout: number | undefined) {
  if (timeout === undefined) return store.waitFor(id, wanted)
  const signal = AbortSignal.timeout(Math.round(timeout * 1000))
  try {
    return await store.waitFor(id, wanted, { signal })
  } catch (error) {
    if (!signal.aborted || error instanceof StateStoreError) throw error
  }
  // A state that is reached just as the time is up counts, as does one that held all along if the timeout is 0.
  const state = await unlessCode(wanted === 'deleted' ? ['NOT_FOUND'] : [], store.read(id))
  if ((state?.state ?? 'deleted') === wanted) return state
  throw new TimeoutError(`sandbox ${id} is not ${wanted} after ${timeout} s, but ${state?.state}`, id)
}
