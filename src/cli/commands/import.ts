import { persistedSandboxes } from '../../kata/persisted-sandboxes.js'
import type { Define } from '../commands.js'
import { type CopyCommandOptions, copyAndReport, copyHelp } from '../copying.js'
import { UsageError } from '../errors.js'
import { describe } from '../help.js'
import { changeFormatOption, choiceArgument, dryRunOption } from '../options.js'
import { isWithin } from '../root.js'

const shared = copyHelp('imported')

export const define: Define = (command, cli) =>
  describe(command, {
    description: "Import another program's sandboxes, in their present states.",
    ...shared,
    notes: `kata: Kata Containers 1.11 and later, which keep a persist.json of each
sandbox. Imported are the state, the next block device's number, the guest's
memory block size and hotplug probe, and the path of its cgroup. Devices,
networks, the agent and the hypervisor have no place in a state, and are left
out.

${shared.notes}`,
    examples: [
      ['import kata /run/vc/sbs --dry-run', 'what it would do'],
      ['import kata /run/vc/sbs', 'do it, into $SANDBOX_STATE_ROOT'],
    ],
  })
    .addArgument(choiceArgument('<program>', 'whose sandboxes they are', ['kata']))
    .argument('<dir>', 'the folder in which that program keeps them; it is only read')
    .addOption(dryRunOption())
    .addOption(changeFormatOption())
    .action((_program: 'kata', dir: string, options: CopyCommandOptions) => {
      const root = cli.root(command)
      if (isWithin(root, dir) || isWithin(dir, root)) {
        throw new UsageError(
          `${dir} and ${root} are the same folder, or one is in the other: import into another root, with --root`,
        )
      }
      return cli.withStore(command, target =>
        copyAndReport(cli, { list: () => persistedSandboxes(dir) }, target, options, 'imported'),
      )
    })
