import { Argument } from 'commander'
import type { CommandSpec } from '../command.js'
import { COMMANDS, defineCommand } from '../commands.js'

const NAMES = COMMANDS.map(({ name }) => name)

export const command: CommandSpec = {
  description: 'Explain a command, or list all of them.',
  examples: [['help create', 'the same as: sandbox-state create --help']],
  done: 'explained',
  takes: [new Argument('[command]', 'which').choices(NAMES)],
  async run(cli, _options, name?: string) {
    const subject = cli.program.commands.find(other => other.name() === name)
    // Its own help is there already.
    if (subject !== undefined && name !== 'help') await defineCommand(subject, cli)
    const explained = subject ?? cli.program
    explained.outputHelp()
  },
}
