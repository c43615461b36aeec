import type { Define } from '../commands.js'
import { helpTail } from '../help.js'
import { choiceArgument } from '../options.js'

const SHELLS = {
  bash: async () => (await import('../completion/bash.js')).bashCompletion,
  zsh: async () => (await import('../completion/zsh.js')).zshCompletion,
  fish: async () => (await import('../completion/fish.js')).fishCompletion,
} as const

export const define: Define = (command, cli) =>
  command
    .description('Print a script that has a shell complete commands, options and the ids of sandboxes.')
    .addArgument(choiceArgument('shell', 'the shell', Object.keys(SHELLS)))
    .addHelpText(
      'after',
      helpTail({
        notes: `To complete an id the shell calls "sandbox-state list --format ids", with the
--root that the line has.

Where shells look for it:
  bash  ~/.local/share/bash-completion/completions/sandbox-state
  zsh   _sandbox-state in a folder of $fpath
  fish  ~/.config/fish/completions/sandbox-state.fish`,
        examples: [
          ['completion bash > sandbox-state', 'to move to its place, or to source'],
          ['completion fish | source', 'for this shell only'],
        ],
        done: 'printed',
        failed: 'the output could not be written',
      }),
    )
    .action(async (shell: keyof typeof SHELLS) => {
      const [{ grammarOf }, script] = await Promise.all([import('../completion/grammar.js'), SHELLS[shell]()])
      await cli.out.write(script(await grammarOf(cli)))
    })
