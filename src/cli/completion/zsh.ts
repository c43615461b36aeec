import type { CommandGrammar, Flag, Grammar, Place } from './grammar.js'

export function zshCompletion({ flags, commands }: Grammar): string {
  return `#compdef sandbox-state
# zsh completion for sandbox-state: save it as _sandbox-state in a folder of $fpath,
# or: source <(sandbox-state completion zsh)

_sandbox_state_ids() {
  local -a command ids
  local at
  command=(sandbox-state)
  for ((at = 2; at < \${#_sandbox_state_words}; at++)); do
    case \${_sandbox_state_words[at]} in
      --root) command+=(--root \${(Q)~_sandbox_state_words[at+1]}) ;;
      --root=*) command+=(--root \${(Q)_sandbox_state_words[at]#--root=}) ;;
    esac
  done
  ids=(\${(f)"$($command list --format ids 2>/dev/null </dev/null)"})
  _wanted ids expl 'sandbox' compadd -a ids
}

_sandbox_state_commands() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join('\n')}
  )
  _describe -t commands command commands
}

_sandbox_state() {
  local -a _sandbox_state_words=($words) globals
  local curcontext=$curcontext state line expl
  local -i found=1
  typeset -A opt_args
  globals=(
${flags.map(flag => `    ${specOf(flag)}`).join('\n')}
  )
  _arguments -C $globals '1: :_sandbox_state_commands' '*:: :->arguments' && found=0
  [[ $state == arguments ]] || return found
  case $words[1] in
${commands.map(caseOf).join('\n')}
  esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _sandbox_state "$@"
else
  compdef _sandbox_state sandbox-state
fi
`
}

function caseOf({ name, flags, places }: CommandGrammar): string {
  const specs = [...flags.map(specOf), ...places.map((place, at) => quoted(`${at + 1}: :${actionOf(place)}`))]
  return `    ${name}) _arguments $globals ${specs.join(' ')} ;;`
}

function specOf({ names, description, value }: Flag): string {
  const text = description.replace(/[[\]:\\]/g, '\\$&')
  const takes = value === undefined ? '' : `: :${actionOf(value)}`
  const specs = names.map(name => {
    const equals = value !== undefined && name.startsWith('--') ? '=' : ''
    return quoted(`(${names.join(' ')})${name}${equals}[${text}]${takes}`)
  })
  return specs.join(' ')
}

function actionOf(place: Place): string {
  if (place.kind === 'words') return `(${place.words.join(' ')})`
  if (place.kind === 'ids') return '_sandbox_state_ids'
  return place.kind === 'folder' ? '_directories' : ' '
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
