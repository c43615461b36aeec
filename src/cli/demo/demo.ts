import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { visible } from '../../state/show.js'
import type { Cli } from '../cli.js'
import { EXIT } from '../errors.js'
import { workAndTidy } from '../interrupt.js'
import { type Check, Narrator } from './narrator.js'
import { play } from './play.js'
import { WorkerProcess } from './worker-process.js'

export interface DemoOptions {
  /** Whether to leave the store there. */
  readonly keep?: true
  readonly format: 'text' | 'json'
}

/** Besides the one that is killed. */
const OTHERS = 5
/** Should a worker not answer, all of them are ended after so many ms: the demo fails then, but does not hang. */
const LONGEST = 60_000

/** Plays the demo on a store and with processes of its own, of which nothing is left afterwards. */
export async function demo(cli: Cli, { keep, format }: DemoOptions): Promise<void> {
  const start = performance.now()
  const narrator = new Narrator(cli.out, format === 'json')
  const workers: WorkerProcess[] = []
  const endWorkers = () => Promise.all(workers.map(worker => worker.kill()))
  const late = setTimeout(endWorkers, LONGEST)
  let root = ''

  await workAndTidy(
    async interrupted => {
      root = await mkdtemp(join(tmpdir(), 'sandbox-state-demo-'))
      const victim = new WorkerProcess(root)
      const others = Array.from({ length: OTHERS }, () => new WorkerProcess(root))
      workers.push(victim, ...others)
      interrupted.addEventListener('abort', endWorkers) // Nothing of the play then waits for one any longer.
      await play({ root, narrator, victim, others, colors: cli.colors, interrupted })
    },
    async () => {
      clearTimeout(late)
      await endWorkers()
      if (root !== '' && !keep) await rm(root, { recursive: true, force: true })
    },
  )

  const { checks } = narrator
  const ok = checks.every(check => check.ok)
  if (!ok) cli.status = EXIT.failed
  await narrator.print(
    '',
    `${verdict(checks)} in ${((performance.now() - start) / 1000).toFixed(1)} s.`,
    keep
      ? `The store is still there: sandbox-state --root ${visible(root)} list`
      : `${visible(root)} is removed again.`,
  )
  if (format === 'json') await cli.out.write(`${JSON.stringify({ ok, checks }, null, 2)}\n`)
}

function verdict(checks: readonly Check[]): string {
  const failed = checks.filter(({ ok }) => !ok).length
  return failed === 0 ? `All ${checks.length} checks passed` : `${failed} of ${checks.length} checks FAILED`
}
