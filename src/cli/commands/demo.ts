import { Option } from 'commander'
import type { CommandSpec } from '../command.js'
import { formatOption } from '../options.js'

export const command: CommandSpec = {
  description: 'Show on a temporary store what this program is for, and check it on the way.',
  notes: `Several processes share sandboxes. One is killed (kill -9) in the middle of a
change, and the others go on. Commands race for a transition, and one of them
wins. The owner of a running sandbox is killed, and the sandbox is reaped. It
takes some seconds, ends its processes and removes its store. It touches no
other store and ignores --root.`,
  examples: [
    ['demo', 'watch it'],
    ['demo --keep', 'and look at the files afterwards'],
  ],
  done: 'everything was as promised',
  failed: 'something was not, and is marked FAILED',
  takes: [
    new Option('--keep', 'leave the store there, to look at'),
    formatOption('what to print; json is only what was checked', ['text', 'json']),
  ],
  run: async (cli, options) => (await import('../demo/demo.js')).demo(cli, options),
}
