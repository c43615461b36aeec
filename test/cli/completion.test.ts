import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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

const BASH = `
source "$1"
read -ra COMP_WORDS <<< "sandbox-state $2"
[[ $2 == *' ' || -z $2 ]] && COMP_WORDS+=('')
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_sandbox_state
[[ \${#COMPREPLY[@]} -eq 0 ]] || printf '%s\\n' "\${COMPREPLY[@]}"
`

function linesOf(ran: {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}): string[] {
  expect({ status: ran.status, stderr: ran.stderr }).toEqual({ status: 0, stderr: '' })
  return ran.stdout
    .split('\n')
    .filter(line => line !== '')
    .sort()
}

describe.skipIf(!has('bash'))(`completion in bash${skipped('bash')}`, () => {
  it('offers commands, options, states and ids', async () => {
    const { root, script, env } = await setUp('bash')
    for (const [line, words] of SAMPLE) {
      const typed = line.replace('ROOT', root.path)
      const ran = spawnSync('bash', ['-c', BASH, 'bash', script, typed], { env, encoding: 'utf8' })
      expect([line, linesOf(ran)]).toEqual([line, words])
    }
  })

  it('offers folders, also those with a space in their names', async () => {
    const { folder, script, env } = await setUp('bash')
    for (const line of FOLDERS) {
      const ran = spawnSync('bash', ['-c', BASH, 'bash', script, line], {
        cwd: folder,
        env,
        encoding: 'utf8',
      })
      expect([line, linesOf(ran)]).toEqual([line, ['my folder', 'my-other']])
    }
  })

  it('offers no option of another command, and nothing after an unknown one or after all arguments', async () => {
    const { script, env } = await setUp('bash')
    for (const line of ['list --for', 'list --forc', 'nonsense ', 'state db ', 'list --format x']) {
      const ran = spawnSync('bash', ['-c', BASH, 'bash', script, line], { env, encoding: 'utf8' })
      expect([line, linesOf(ran)]).toEqual([line, line === 'list --for' ? ['--format'] : []])
    }
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
  const COMPLETE = 'source $argv[1]; complete -C $argv[2]'

  it('offers commands, options, states and ids', async () => {
    const { root, script, env } = await setUp('fish')
    for (const [line, words] of SAMPLE) {
      const typed = `sandbox-state ${line.replace('ROOT', root.path)}`
      const ran = spawnSync('fish', ['-c', COMPLETE, script, typed], { env, encoding: 'utf8' })
      expect([line, linesOf(ran).map(text => text.split('\t')[0])]).toEqual([line, words])
    }
  })

  it('offers folders', async () => {
    const { folder, script, env } = await setUp('fish')
    for (const line of FOLDERS) {
      const typed = `sandbox-state ${line}`
      const ran = spawnSync('fish', ['-c', COMPLETE, script, typed], { cwd: folder, env, encoding: 'utf8' })
      const folders = linesOf(ran).map(text => text.split('\t')[0])
      expect([line, folders]).toEqual([line, ['my folder/', 'my-other/']])
    }
  })

  it('takes = too', async () => {
    const { folder, script, root, env } = await setUp('fish')
    for (const [line, words] of [
      ['list --format=js', ['--format=json']],
      ['list --root=my-', ['--root=my-other/']],
      [`--root=${root.path} state d`, ['db']],
    ] as const) {
      const typed = `sandbox-state ${line}`
      const ran = spawnSync('fish', ['-c', COMPLETE, script, typed], { cwd: folder, env, encoding: 'utf8' })
      expect([line, linesOf(ran).map(text => text.split('\t')[0])]).toEqual([line, words])
    }
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
    for (const [typed, shown] of [
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
    ] as const) {
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
