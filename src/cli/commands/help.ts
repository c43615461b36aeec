import { COMMANDS, type Define, defineCommand } from '../commands.js'
import { describe } from '../help.js'
import { choiceArgument } from '../options.js'

export const define: Define = (command, cli) =>
  describe(command, {
    description: 'Explain a command, or list all of them.',
    examples: [['help create', 'the same as: sandbox-state create --help']],
    done: 'explained',
    failed: 'the output could not be written',
  })
    .addArgument(
      choiceArgument(
        '[command]',
        'which',
        COMMANDS.map(({ name }) => name),
      ),
    )
    .action(async (name: string | undefined) => {
      const program = command.parent ?? command
      if (name === undefined) return program.outputHelp()
      const subject = program.commands.find(other => other.name() === name) ?? command
      if (subject !== command) await defineCommand(subject, cli)
      subject.outputHelp()
    })
