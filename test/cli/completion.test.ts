import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '#src/cli/commands.js'
import { effort } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { cli, programEnvironment, Root } from './support.js'
import { hasTmux, Tmux } from './tmux.js'

const has = (shell: string) => spawnSync(shell, ['--version']).status === 0
const skipped = (shell: string) => (has(shell) ? '' : ` (skipped: there is no ${shell})`)

/**
 * A root with the sandboxes `web-1`, `web-2`, `db` and `torn`, which cannot be read, a home with a link to it and with
 * two other folders, an environment in which the program is found, and a script.
 */
async function setUp(shell: string) {
  const root = new Root()
  for (const id of ['web-1', 'web-2']) await root.done(`create ${id} --label team=x --label tier=${id}`)
  await root.done(['create', 'db', '--label', 'team=x', '--label', 'odd=a b'])
  root.put('torn', '')
  const folder = temporaryFolder()
  const script = join(folder, `completion.${shell}`)
  const { status, stdout, stderr } = await cli(['completion', shell])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  writeFileSync(script, stdout)
  const env: NodeJS.ProcessEnv = { ...programEnvironment(), HOME: folder, SANDBOX_STATE_ROOT: root.path }
  symlinkSync(root.path, join(folder, 'link'))
  for (const name of ['my folder', 'my-other']) mkdirSync(join(folder, name))
  return { root, folder, script, env }
}

const STATES = ['paused', 'ready', 'running', 'stopped']

/** Lines up to the cursor, and what may follow; `ROOT` is a root, which the environment names, too, or another one. */
const CASES: readonly (readonly [line: string, words: readonly string[]])[] = [
  ['', COMMANDS.map(({ name }) => name).sort()],
  ['tr', ['transition']],
  ['transition ', ['db', 'torn', 'web-1', 'web-2']],
  ['delete --force to', ['torn']],
  ['transition we', ['web-1', 'web-2']],
  ['transition web-1 ', STATES],
  ['transition web-1 --from st', ['stopped']],
  ['transition --from ready db p', ['paused']],
  ['wait db de', ['deleted']],
  ['create ', []],
  ['--root /nowhere state ', []],
  ['--root ROOT --lock-timeout 3 state d', ['db']],
  ['state --root ROOT d', ['db']],
  ['--root ~/link state d', ['db']],
  ['--root ~/nowhere state d', []],
  ['list --format ', ['ids', 'json', 'table']],
  ['diagram --format s', ['svg']],
  ['list --stat', ['--state']],
  ['--lock-t', ['--lock-timeout']],
  ['help rep', ['repair']],
  ['completion ', ['bash', 'fish', 'zsh']],
  ['--lock-timeout ', []],
  ['inspect d', ['db']],
  ['pr', ['prune']],
  ['run we', ['web-1', 'web-2']],
  ['run web-1 --cr', ['--create']],
  ['run web-1 -- ', []],
  ['run web-1 -- ls --cr', []],
  ['state -- web-', ['web-1', 'web-2']],
  ['reap --dry', ['--dry-run']],
  ['list --orph', ['--orphaned']],
  ['prune --older', ['--older-than']],
  ['prune --state ', ['paused', 'ready', 'stopped']],
  ['update --la', ['--label']],
  ['update --no-d', ['--no-data']],
  ['list --js', ['--json']],
  ['list --label te', ['team=x']],
  ['list --label ', ['team=x', 'tier=web-1', 'tier=web-2']],
  ['update db --unlabel ', ['odd', 'team', 'tier']],
  ['update --data 1 --reason x --label team=x d', ['db']],
  ['update --label=team=x d', ['db']],
  ['create --label team=x ', []],
]

/** Each line takes a shell of its own, and most of them a program. */
const SAMPLE = CASES.filter((_, i) => i % effort(7, 1) === 0)

/** Lines at whose end a folder may stand. */
const FOLDERS = ['list --root my', 'import kata my', 'copy my', 'copy / my']

/** Completes each line in one shell, and prints a line `===` after what is offered for it. */
const BASH = `
source "$1"
for line in "\${@:2}"; do
  read -ra COMP_WORDS <<< "sandbox-state $line"
  [[ $line == *' ' || -z $line ]] && COMP_WORDS+=('')
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  _sandbox_state
  [[ \${#COMPREPLY[@]} -eq 0 ]] || printf '%s\\n' "\${COMPREPLY[@]}"
  echo ===
done
`
const FISH = `
source $argv[1]
for line in $argv[2..-1]
  complete -C "sandbox-state $line"
  echo ===
end
`

/** Expects that a shell offers the words of each case. */
async function expectOffers(shell: 'bash' | 'fish', cases: typeof CASES): Promise<void> {
  const { root, folder, script, env } = await setUp(shell)
  const program = shell === 'bash' ? [BASH, 'bash'] : [FISH]
  const lines = cases.map(([line]) => line.replace('ROOT', root.path))
  const args = ['-c', ...program, script, ...lines]
  const { stdout, stderr } = await promisify(execFile)(shell, args, { cwd: folder, env })
  expect(stderr).toBe('')
  // Fish adds a meaning behind a tab.
  const offers = stdout.split('===\n').map(text => text.replaceAll(/\t.*/g, '').match(/.+/g)?.sort() ?? [])
  expect(cases.map(([line], i) => [line, offers[i]])).toEqual(cases)
}

describe.skipIf(!has('bash'))(`completion in bash${skipped('bash')}`, () => {
  it('offers commands, options, states and ids', async () => {
    await expectOffers('bash', SAMPLE)
  })

  it('offers folders, also those with a space in their names', async () => {
    const folders = ['my folder', 'my-other']
    await expectOffers(
      'bash',
      FOLDERS.map(line => [line, folders]),
    )
  })

  it('offers no option of another command, and nothing after an unknown one or after all arguments', async () => {
    const nothing = ['list --forc', 'nonsense ', 'state db ', 'list --format x'].map(
      line => [line, []] as const,
    )
    await expectOffers('bash', [['list --for', ['--format']], ...nothing])
  })

  it.skipIf(!hasTmux)('completes what is typed, with = too', async () => {
    const { script, root, env } = await setUp('bash')
    const tmux = new Tmux(150, 10)
    tmux.type(`PATH=${env.PATH} SANDBOX_STATE_ROOT=/nowhere; source ${script}`, 'Enter')
    tmux.type(`sandbox-state list --format=js`, 'Tab')
    await tmux.until(/--format=json/)
    tmux.type('', 'C-u')
    tmux.type(`sandbox-state --root=${root.path} update --label team=x d`, 'Tab')
    await tmux.until(/team=x db$/m)
    tmux.type('', 'C-u')
    tmux.type(`sandbox-state --root=${root.path} state d`, 'Tab')
    await tmux.until(/state db$/m)
  })
})

describe.skipIf(!has('fish'))(`completion in fish${skipped('fish')}`, () => {
  it('offers commands, options, states and ids', async () => {
    await expectOffers('fish', SAMPLE)
  })

  it('offers folders', async () => {
    const folders = ['my folder/', 'my-other/']
    await expectOffers(
      'fish',
      FOLDERS.map(line => [line, folders]),
    )
  })

  it('takes = too', async () => {
    await expectOffers('fish', [
      ['list --format=js', ['--format=json']],
      ['list --root=my-', ['--root=my-other/']],
      ['--root=ROOT state d', ['db']],
    ])
  })
})

describe.skipIf(!has('zsh') || !hasTmux)(`completion in zsh${skipped('zsh')}`, () => {
  it('completes commands, options, states, ids and folders', async () => {
    const { root, folder, script, env } = await setUp('zsh')
    const tmux = new Tmux(150, 20)
    tmux.type(
      `export PATH=${env.PATH} SANDBOX_STATE_ROOT=${root.path} HOME=${folder}; cd; exec zsh -f`,
      'Enter',
    )
    tmux.type(`PS1='> '; autoload -U compinit && compinit -D -u; source ${script}; clear`, 'Enter')
    await tmux.until(/^>$/m)
    const cases = [
      ['tr', 'transition'],
      ['transition d', 'transition db'],
      ['transition db sto', 'transition db stopped'],
      ['transition --from ready db pa', 'transition --from ready db paused'],
      ['wait db de', 'wait db deleted'],
      ['list --stat', 'list --state'],
      ['list --format=js', 'list --format=json'],
      ['help rep', 'help repair'],
      ['--root ~/link state d', '--root ~/link state db'],
      ['copy my-o', 'copy my-other/'],
      ['list --root=my-o', 'list --root=my-other/'],
      [`--root ${root.path} state d`, `--root ${root.path} state db`],
    ] as const
    for (const [typed, shown] of cases.filter((_, i) => i % effort(3, 1) === 0)) {
      tmux.type(`sandbox-state ${typed}`, 'Tab')
      await tmux.until(new RegExp(`^> sandbox-state ${shown}$`, 'm'))
      tmux.type('', 'C-u')
      await tmux.until(/^>$/m)
    }
    tmux.type('sandbox-state state ', 'Tab')
    await tmux.until(/^db +torn +web-1 +web-2$/m)
  })
})

it('completion knows no other shell', async () => {
  expect(await cli(['completion', 'tcsh'])).toMatchObject({ status: 2, stdout: '' })
})
