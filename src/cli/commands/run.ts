import { Argument, Option } from 'commander'
import { onAbort } from '../../abort.js'
import type { Owner, Ownership } from '../../backend.js'
import { StateStoreError } from '../../errors.js'
import { alreadyOwned, isOrphan } from '../../owner.js'
import { thisProcess } from '../../process-identity.js'
import type { SandboxStore } from '../../store.js'
import type { Inspection } from '../../store-types.js'
import type { CommandSpec } from '../command.js'
import { CommandError, EXIT, UsageError, unlessCode } from '../errors.js'
import { labelOption } from '../labels.js'
import { move } from '../move.js'
import { changeOptions, ID, type Options, REASON } from '../options.js'
import { supervise } from '../supervise.js'

export const command: CommandSpec = {
  description: 'Own a sandbox, move it to running, run a command, and move it to stopped when that ends.',
  notes: `The history says how the command ended, as "exited 3" or "killed by SIGKILL".
Its standard input and outputs are those of this process. INT, TERM, HUP, QUIT,
USR1, USR2, WINCH, TSTP and CONT are passed on to it. In the foreground of a
terminal, INT, QUIT, TSTP and WINCH are not, since the terminal sends them to
both.

The command inherits the ownership, as a descriptor that it need not know: if
this process is killed, the command still owns the sandbox. When it ends, too,
the sandbox is an orphan, which "sandbox-state reap" stops.

On etcd nothing is inherited: if this process is killed, the command goes on,
and the sandbox is an orphan 10 s later. The ownership can also be lost, as
when etcd cannot be reached: then the command is sent TERM, and KILL after 5 s,
and the sandbox is left as it is.

It is no error if somebody has stopped or deleted the sandbox meanwhile.`,
  examples: [
    ['run a -- firecracker --config-file a.json', 'run a VM'],
    ['run a --create --label team=x -- sleep 60', 'create a if need be'],
  ],
  done: 'the command exited with 0',
  failed:
    'OWNED (somebody else owns it), INVALID_TRANSITION (it is running already, or is an orphan), NOT_FOUND, INVALID_ID, INVALID_STATE, CORRUPT_STATE, LOCK_TIMEOUT, UNSUPPORTED or IO_ERROR; or it ran, but the sandbox could not be moved to stopped, or its ownership was lost',
  others: [
    ['126', 'COMMAND: it cannot be executed'],
    ['127', 'COMMAND: it was not found'],
    ['128+N', 'it was killed by signal N'],
    ['else', 'that of the command'],
  ],
  usage: '[options] <id> [--] <command...>',
  takes: [
    ID,
    new Argument('<command...>', 'the command and its arguments'),
    new Option('--create', 'create the sandbox, unless it is there'),
    labelOption('with --create: a label of a new one; may be repeated'),
    REASON,
  ],
  run(cli, options, id, ...words) {
    if (options.label !== undefined && !options.create) throw new UsageError('--label needs --create')
    return cli.withStore(async store => {
      const owner = await own(store, id, options)
      try {
        await move(store, id, 'running', changeOptions(options))
      } catch (error) {
        await owner.release()
        throw error
      }
      const lost = lossOf(owner)
      await supervise(words, owner, lost, async ({ status, words: reason, failure }) => {
        cli.status = status
        try {
          if (lost.aborted) throw lost.reason
          await stop(store, id, reason)
          await owner.release()
        } catch (error) {
          await cli.report(error, false)
          cli.status ||= EXIT.failed
        }
        if (failure !== undefined) throw new CommandError(`${words[0]}: ${failure}`, status)
      })
    })
  },
}

/** Owns the sandbox, which it creates if asked to. Leaves an orphan to `reap`, which records why it was stopped. */
async function own(store: SandboxStore, id: string, options: Options): Promise<Ownership> {
  const { create = false, label: labels = {} } = options
  const found = await unlessCode(['NOT_FOUND'], store.inspect(id))
  if (found !== undefined) assertFree(found)
  const owner = await unlessCode(create ? ['NOT_FOUND'] : [], store.own(id))
  if (owner !== undefined) return owner
  try {
    await store.create(id, { labels }, changeOptions(options))
  } catch (error) {
    if (!(error instanceof StateStoreError && error.code === 'ALREADY_EXISTS')) throw error
    // Somebody else has created it meanwhile; or it is another program's, which cannot be owned.
    const theirs = await unlessCode(['NOT_FOUND'], store.own(id))
    if (theirs === undefined) throw error
    return theirs
  }
  return store.own(id)
}

/** Refuses one that is owned before an attempt to own it: if its owner dies just then, the orphan is left to `reap`. */
function assertFree(found: Inspection): void {
  const { id, owner, state } = found
  const from = state.state
  if (owner?.state === 'owned') throw alreadyOwned(id, owner)
  if (!isOrphan(found) && from !== 'running') return
  const why = isOrphan(found) ? 'is an orphan: reap it first' : 'is running already: stop it first'
  throw new StateStoreError('INVALID_TRANSITION', `sandbox ${id} ${why}`, { id, from, to: 'running' })
}

/** Aborted when another process may own the sandbox from now on. A deletion is no reason to end the command. */
function lossOf({ signal }: Ownership): AbortSignal {
  const lost = new AbortController()
  onAbort(signal, () => {
    const { reason } = signal
    const isDeleted = reason instanceof StateStoreError && reason.code === 'NOT_FOUND'
    if (!isDeleted) lost.abort(reason)
  })
  return lost.signal
}

/** Moves it to stopped, unless somebody has stopped or deleted it. A new one that was created in its place is not ours. */
async function stop(store: SandboxStore, id: string, reason: string): Promise<void> {
  for (;;) {
    const found = await unlessCode(['NOT_FOUND'], store.inspect(id))
    if (found === undefined || !isThisProcess(found.owner) || found.state.state === 'stopped') return
    const stopping = move(store, id, 'stopped', { reason, ifRevision: found.revision })
    const stopped = await unlessCode(['NOT_FOUND', 'REVISION_MISMATCH'], stopping)
    if (stopped !== undefined) return
  }
}

/** On etcd a process of another host may have the same pid. */
function isThisProcess(owner: Owner | null): boolean {
  return owner?.pid === process.pid && owner.host === thisProcess().host
}
