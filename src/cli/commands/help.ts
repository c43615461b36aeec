import { Argument } from 'commander'
import { COMMANDS, type Define, defineCommand } from '../commands.js'
import { helpTail } from '../help.js'

export const define: Define = (command, cli) =>
  command
    .description('Explain a command, or all of them in short.')
    .addArgument(new Argument('[command]', 'which').choices(COMMANDS.map(({ name }) => name)))
    .addHelpText(
      'after',
      helpTail({
        examples: [['help create', 'the same as: sandbox-state create --help']],
        done: 'explained',
        failed: 'the output could not be written',
      }),
    )
    .action(async (name: string | undefined) => {
      const program = command.parent ?? command
      if (name === undefined) return program.outputHelp()
      const subject = program.commands.find(other => other.name() === name) ?? command
      if (subject !== command) await defineCommand(subject, cli)
      subject.outputHelp()
    })
