import type { CommandGrammar, Flag, Grammar, Place } from './grammar.js'

/** For bash 3.2, as macOS has it, and later. */
export function bashCompletion({ flags, commands }: Grammar): string {
  const names = commands.map(({ name }) => name).join(' ')
  const all = [...flags, ...commands.flatMap(command => command.flags)]
  const valued = [...new Set(all.filter(({ value }) => value).flatMap(flag => flag.names))].join('|')
  return `# bash completion for sandbox-state: source <(sandbox-state completion bash)

_sandbox_state_ids() {
  sandbox-state list --format ids "\${_sandbox_state_root[@]}" 2>/dev/null </dev/null
}

_sandbox_state() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous= command= at=0 i word words=
  # Never empty, which bash 3.2 would take for unset.
  local -a _sandbox_state_root=(--lock-timeout 0)
  COMPREPLY=()
  # bash takes the "=" of --option=value for a word of its own.
  if [[ $current == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD-1]} current=
  elif ((COMP_CWORD > 1)) && [[ \${COMP_WORDS[COMP_CWORD-1]} == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD-2]}
  else
    previous=\${COMP_WORDS[COMP_CWORD-1]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${valued})
        if [[ \${COMP_WORDS[i+1]} == = ]]; then i=$((i + 2)); else i=$((i + 1)); fi
        if [[ $word == --root ]] && ((i < COMP_CWORD)); then
          word=\${COMP_WORDS[i]}
          _sandbox_state_root+=(--root "\${word/#\\~/$HOME}")
        fi
        ;;
      -*) ;;
      *) if [[ -z $command ]]; then command=$word; else at=$((at + 1)); fi ;;
    esac
  done
  case $command:$previous in
${flags.flatMap(flag => valueCase(flag, '*')).join('\n')}
${commands.flatMap(({ name, flags }) => flags.flatMap(flag => valueCase(flag, name))).join('\n')}
    *)
      if [[ $current == -* ]]; then
        case $command in
${commands.map(command => `          ${command.name}) words='${flagNames(command.flags)}' ;;`).join('\n')}
        esac
        words="$words ${flagNames(flags)}"
      else
        case $command:$at in
          :0) words='${names}' ;;
${commands.flatMap(placeCases).join('\n')}
        esac
      fi
      ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}

complete -F _sandbox_state sandbox-state
`
}

function valueCase({ names, value }: Flag, command: string): string[] {
  if (value === undefined) return []
  return names.map(name => `    ${command}:${name}) ${actionOf(value)} ;;`)
}

function placeCases({ name, places }: CommandGrammar): string[] {
  return places.map((place, at) => `          ${name}:${at}) ${actionOf(place)} ;;`)
}

function actionOf(place: Place): string {
  if (place.kind === 'words') return `words='${place.words.join(' ')}'`
  if (place.kind === 'ids') return 'words=$(_sandbox_state_ids)'
  if (place.kind === 'any') return 'return 0'
  // A folder's name may have spaces in it.
  return `local IFS=$'\\n'; compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current")); return 0`
}

function flagNames(flags: readonly Flag[]): string {
  return flags.flatMap(({ names }) => names).join(' ')
}
