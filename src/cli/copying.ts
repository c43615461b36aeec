import { type CopyResult, copyStore } from '../copy.js'
import type { SandboxStore } from '../store.js'
import type { Cli } from './cli.js'
import { EXIT, failureJson, failureLine, failureOf } from './errors.js'
import type { ChangeFormat } from './options.js'
import { counted } from './words.js'

export interface CopyCommandOptions {
  readonly format: ChangeFormat
}

/** Copies sandboxes into a store, with progress, and tells what came of it. */
export async function copyAndTell(
  cli: Cli,
  source: Pick<SandboxStore, 'list'>,
  target: SandboxStore,
  { format, done }: CopyCommandOptions & { readonly done: 'copied' | 'imported' },
): Promise<void> {
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
  done: string,
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
