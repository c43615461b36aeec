import type { CommandGrammar, Flag, Grammar, Place } from './grammar.js'

const COMPLETE = 'complete -c sandbox-state'

export function fishCompletion({ flags, commands }: Grammar): string {
  const valued = [...flags, ...commands.flatMap(command => command.flags)].filter(({ value }) => value)
  const names = [...new Set(valued.flatMap(flag => flag.names))].join(' ')
  return `# fish completion for sandbox-state: sandbox-state completion fish | source

# The words before the cursor that are no options and no values of options, without the program.
function __sandbox_state_words
    set -l skip 1
    for word in (commandline -opc)
        if test $skip = 1
            set skip 0
        else if contains -- $word ${names}
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

# Whether the cursor is at this place of this command; the command itself is place 0.
function __sandbox_state_at
    set -l words (__sandbox_state_words)
    test (count $words) = $argv[1]; and test "$words[1]" = "$argv[2]"
end

function __sandbox_state_in
    set -l words (__sandbox_state_words)
    test "$words[1]" = $argv[1]
end

function __sandbox_state_ids
    set -l root
    set -l words (commandline -opc)
    for at in (seq (count $words))
        switch $words[$at]
            case --root
                set root --root (string replace -r '^~(?=/|$)' -- $HOME $words[(math $at + 1)])
            case '--root=*'
                set root --root (string replace -- --root= '' $words[$at])
        end
    end
    sandbox-state $root list --format ids 2>/dev/null </dev/null
end

${COMPLETE} -f
${flags.map(flag => flagLine(flag, '')).join('\n')}
${commands.map(({ name, summary }) => `${COMPLETE} -n '__sandbox_state_at 0 ""' -a ${name} -d ${quoted(summary)}`).join('\n')}
${commands.flatMap(linesOf).join('\n')}
`
}

function linesOf({ name, flags, places }: CommandGrammar): string[] {
  return [
    ...flags.map(flag => flagLine(flag, ` -n '__sandbox_state_in ${name}'`)),
    ...places.map((place, at) => `${COMPLETE} -n '__sandbox_state_at ${at + 1} ${name}'${candidates(place)}`),
  ]
}

function flagLine({ names, description, value }: Flag, condition: string): string {
  const shapes = names.map(name => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
  const takes = value === undefined ? '' : ` -r${value.kind === 'folder' ? '' : ' -f'}${candidates(value)}`
  return `${COMPLETE}${condition} ${shapes.join(' ')}${takes} -d ${quoted(description)}`
}

function candidates(place: Place): string {
  if (place.kind === 'words') return ` -a '${place.words.join(' ')}'`
  if (place.kind === 'ids') return " -a '(__sandbox_state_ids)'"
  return place.kind === 'folder' ? " -a '(__fish_complete_directories)'" : ''
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
