import { Argument } from 'commander'
import type { CommandSpec } from '../command.js'

// Each script passes the words up to the cursor to `sandbox-state __complete`, which prints a candidate a line, some
// with a tab and a description; or `:folders`.

/** For bash 3.2, as macOS has it, and later. */
const BASH = `# bash completion for sandbox-state: source <(sandbox-state completion bash)

_sandbox_state() {
  local IFS=$'\\n' line
  COMPREPLY=()
  for line in $(sandbox-state __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null); do
    if [[ $line == :folders ]]; then
      compopt -o filenames 2>/dev/null
      line=\${COMP_WORDS[COMP_CWORD]}
      COMPREPLY=($(compgen -d -- "\${line#=}"))
    else
      COMPREPLY+=("\${line%%$'\\t'*}")
    fi
  done
}

complete -F _sandbox_state sandbox-state
`

const ZSH = `#compdef sandbox-state
# zsh completion for sandbox-state: save it as _sandbox-state in a folder of $fpath,
# or: source <(sandbox-state completion zsh)

_sandbox_state() {
  local -a lines
  lines=(\${(f)"$(sandbox-state __complete "\${(@Q)words[2,CURRENT]}" 2>/dev/null </dev/null)"})
  if [[ $lines[1] == :folders ]]; then
    compset -P '--*='
    _directories
  elif ((#lines)); then
    lines=("\${(@)\${(@)lines//:/\\\\:}/$'\\t'/:}")
    _describe sandbox-state lines
  fi
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _sandbox_state "$@"
else
  compdef _sandbox_state sandbox-state
fi
`

const FISH = `# fish completion for sandbox-state: sandbox-state completion fish | source

function __sandbox_state_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (sandbox-state __complete $words[2..] "$current" 2>/dev/null </dev/null)
    if test "$lines[1]" = :folders
        set -l flag (string match -r '^--[^=]+=' -- $current)
        __fish_complete_directories (string replace -- "$flag" '' $current) | string replace -r '^' -- "$flag"
    else
        printf '%s\\n' $lines
    end
end

complete -c sandbox-state -f -a '(__sandbox_state_complete)'
`

const SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const

export const command: CommandSpec = {
  description: 'Print a script that has a shell complete commands, options and the ids of sandboxes.',
  notes: `The script asks sandbox-state itself what may follow: the ids are those of the
--root that the line has, or else of $SANDBOX_STATE_ROOT.

Where shells look for it:
  bash  ~/.local/share/bash-completion/completions/sandbox-state
  zsh   _sandbox-state in a folder of $fpath
  fish  ~/.config/fish/completions/sandbox-state.fish`,
  examples: [
    ['completion bash > sandbox-state', 'to move to its place, or to source'],
    ['completion fish | source', 'for this shell only'],
  ],
  done: 'printed',
  takes: [new Argument('<shell>', 'the shell').choices(Object.keys(SCRIPTS))],
  run: (cli, _options, shell: keyof typeof SCRIPTS) => cli.out.write(SCRIPTS[shell]),
}
