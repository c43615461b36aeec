import type { Define } from '../commands.js'
import { helpTail } from '../help.js'
import { formatOption } from '../options.js'

interface Options {
  readonly keep?: true
  readonly format: 'text' | 'json'
}

export const define: Define = (command, cli) =>
  command
    .description('Show on a temporary store what this program is for, and check it on the way.')
    .option('--keep', 'leave the store there, to look at')
    .addOption(formatOption('what to print; json is only what was checked', ['text', 'json']))
    .addHelpText(
      'after',
      helpTail({
        notes: `Several processes share sandboxes. One is killed (kill -9) in the middle of a
change, and the others go on. They race for a transition, and one of them wins.
The store is closed and opened again. It takes a few seconds, ends its processes
and removes its store. No other store is touched: --root does not count here.`,
        examples: [
          ['demo', 'watch it'],
          ['demo --keep', 'and look at the files afterwards'],
        ],
        done: 'everything was as promised',
        failed: 'something was not, and is marked FAILED',
      }),
    )
    .action(async (options: Options) => {
      const { demo } = await import('../demo/demo.js')
      await demo(cli, options)
    })
