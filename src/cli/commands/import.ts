import { Argument } from 'commander'
import { PersistedSandboxes } from '../../kata/persisted-sandboxes.js'
import type { Define } from '../commands.js'
import { type CopyCommandOptions, copyAndTell, copyNote } from '../copying.js'
import { UsageError } from '../errors.js'
import { helpTail } from '../help.js'
import { changeFormatOption, dryRunOption } from '../options.js'
import { isWithin } from '../root.js'

export const define: Define = (command, cli) =>
  command
    .description("Take over another program's sandboxes, in the states that they are in.")
    .addArgument(new Argument('<program>', 'whose sandboxes they are').choices(['kata']))
    .argument('<dir>', 'the folder in which that program keeps them; it is only read')
    .addOption(dryRunOption())
    .addOption(changeFormatOption())
    .addHelpText(
      'after',
      helpTail({
        notes: `kata: Kata Containers 1.11 and later, which keep a persist.json of each
sandbox. Taken over are the state, the next block device's number, the guest's
memory block size and hotplug probe, and the path of its cgroup. Devices,
networks, the agent and the hypervisor have no place in a state, and are left
out.

Nothing is overwritten: when a sandbox of the root has the id of one of them
and another state, nothing is imported at all. An import may be started again.
First stop what changes those sandboxes.

${copyNote('imported')}`,
        examples: [
          ['import kata /run/vc/sbs --dry-run', 'what it would do'],
          ['import kata /run/vc/sbs', 'do it, into $SANDBOX_STATE_ROOT'],
        ],
        done: 'all of them are there (with --dry-run: would be)',
        failed:
          'ALREADY_EXISTS (nothing is imported), IO_ERROR, or some could not be read: stderr names them',
      }),
    )
    .action((_program: 'kata', dir: string, options: CopyCommandOptions) => {
      const root = cli.root(command)
      if (isWithin(root, dir) || isWithin(dir, root)) {
        throw new UsageError(
          `${dir} and ${root} are one, or one in the other: import into another root, with --root`,
        )
      }
      return cli.withStore(command, target =>
        copyAndTell(cli, new PersistedSandboxes(dir), target, { ...options, done: 'imported' }),
      )
    })
