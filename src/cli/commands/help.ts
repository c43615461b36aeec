import { PROGRAM_HELP } from '../cli.js'
import { type Define, defineCommand } from '../commands.js'
import { UsageError } from '../errors.js'
import { helpTail } from '../help.js'

export const define: Define = (command, cli) =>
  command
    .description('Explain a command, or all of them in short.')
    .argument('[command]', 'the name of a command')
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
      const subject = program.commands.find(other => other.name() === name)
      if (subject === undefined) {
        cli.help = PROGRAM_HELP
        throw new UsageError(`unknown command '${name}'`)
      }
      if (subject !== command) await defineCommand(subject, cli)
      subject.outputHelp()
    })
