import { type CopyResult, copyStore, planCopy } from '../copy.js'
import type { SandboxStore } from '../store.js'
import type { Cli } from './cli.js'
import { type Done, tellPlan } from './copy-plan.js'
import { EXIT, failureJson, failureLine, failureOf } from './errors.js'
import type { ChangeFormat } from './options.js'
import { counted } from './words.js'

export interface CopyCommandOptions {
  readonly dryRun?: boolean
  readonly format: ChangeFormat
}

/** For the helps of the commands that copy. */
export function copyNote(done: Done): string {
  return `On a terminal it says in one line what it did. With --format json it prints
{copied, same, failed}, with the ids and errors of those that failed.

With --dry-run it prints each sandbox, and first what would become of it:
  new         it would be ${done}
  same        it is there already, in just this state
  conflict    another of its id is there, so nothing would be ${done} at all
  unreadable  it would be left out
With --format json as well, it prints one array of {id, outcome, state: {...}}
and {id, outcome, error: {code, message}}.`
}

/** Copies sandboxes into a store, with progress, and tells what came of it; or only what would. */
export async function copyAndTell(
  cli: Cli,
  source: Pick<SandboxStore, 'list'>,
  target: SandboxStore,
  { dryRun = false, format, done }: CopyCommandOptions & { readonly done: Done },
): Promise<void> {
  if (dryRun) return tellPlan(cli, await planCopy(source, target), format, done)
  const result = await copyWithProgress(cli, source, target, done)
  if (result.failed.length > 0) cli.status = EXIT.failed
  for (const { error } of result.failed) {
    await cli.err.write(format === 'json' ? failureJson(failureOf(error, cli.help)) : failureLine(error))
  }
  if (format === 'json') await cli.out.write(`${JSON.stringify(printable(result))}\n`)
  else {
    await cli.tellPerson(
      `${counted(result.copied, 'sandbox', 'sandboxes')} ${done}, ${result.same} there already`,
    )
  }
}

async function copyWithProgress(
  cli: Cli,
  source: Pick<SandboxStore, 'list'>,
  target: SandboxStore,
  done: Done,
): Promise<CopyResult> {
  using progress = cli.progress(`sandboxes ${done}`)
  return await copyStore(source, target, { onProgress: ({ done }) => progress.at(done) })
}

function printable({ copied, same, failed }: CopyResult) {
  return {
    copied,
    same,
    failed: failed.map(({ id, error: { code, message } }) => ({ id, error: { code, message } })),
  }
}
