import { Argument } from 'commander'
import { persistedSandboxes } from '../../kata/persisted-sandboxes.js'
import type { CommandSpec } from '../command.js'
import { COPY_OPTIONS, copyAndReport, copyHelp } from '../copying.js'
import { UsageError } from '../errors.js'
import { assertThere, isWithin } from '../root.js'

const shared = copyHelp('imported')

export const command: CommandSpec = {
  description: "Import another program's sandboxes, in their present states.",
  ...shared,
  notes: `kata: Kata Containers 1.11 and later, which keep a persist.json of each
sandbox. (For 1.0 to 1.10, which keep a state.json, use "copy".) Imported are
the state, the next block device's number, the guest's memory block size and
hotplug probe, and the path of its cgroup. Devices, networks, the agent and the
hypervisor have no place in a state, and are left out.

${shared.notes}`,
  examples: [
    ['import kata /run/vc/sbs --dry-run', 'what it would do'],
    ['import kata /run/vc/sbs', 'do it, into $SANDBOX_STATE_ROOT'],
  ],
  takes: [
    new Argument('<program>', 'whose sandboxes they are').choices(['kata']),
    new Argument('<dir>', 'the folder in which that program keeps them; it is only read'),
    ...COPY_OPTIONS,
  ],
  run(cli, options, _program, dir) {
    const { root } = cli
    if (isWithin(root, dir) || isWithin(dir, root)) {
      throw new UsageError(
        `${dir} and ${root} are the same folder, or one is in the other: import into another root, with --root`,
      )
    }
    assertThere(dir)
    const source = { list: () => persistedSandboxes(dir) }
    return cli.withStore(target => copyAndReport(cli, source, target, options, 'imported'))
  },
}
