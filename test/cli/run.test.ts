import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '#src/cli/commands.js'
import { temporaryFolder } from '../support/root.js'
import { BIN, cli, HOSTILE, Root, spawnCli, UNPRINTABLE } from './support.js'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

describe('help', () => {
  it('is printed for --help, -h and help, and names every command', async () => {
    const { status, stdout, stderr } = await cli(['--help'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const { name, summary } of COMMANDS)
      expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, 'm'))
    expect(await cli(['-h'])).toEqual({ status, stdout, stderr })
    expect(await cli(['help'])).toEqual({ status, stdout, stderr })
  })

  it('goes to stderr when there is no command, with exit status 2', async () => {
    const { stdout } = await cli(['--help'])
    expect(await cli([])).toEqual({ status: 2, stdout: '', stderr: stdout })
    expect(await cli(['--root', '/x'])).toEqual({ status: 2, stdout: '', stderr: stdout })
  })

  it.each(COMMANDS.map(({ name }) => name))('explains %s: arguments, examples, exit status', async name => {
    const { status, stdout, stderr } = await cli([name, '--help'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(new RegExp(`^Usage: sandbox-state ${name} `))
    for (const part of ['Options:', 'Global Options:', '--root <dir>', 'Examples:', 'Exit status:\n  0  ']) {
      expect(stdout).toContain(part)
    }
    expect(await cli(['help', name])).toEqual({ status, stdout, stderr })
    expect(Math.max(...stdout.split('\n').map(line => line.length))).toBeLessThanOrEqual(80)
  })
})

describe('--version', () => {
  it.each(['--version', '-V'])('%s prints the version of the package', async option => {
    expect(await cli([option])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' })
  })
})

describe('a wrong command line', () => {
  const wrong: readonly (readonly [name: string, argv: readonly string[], message: string])[] = [
    ['unknown command', ['nonsense'], "unknown command 'nonsense' (see: sandbox-state --help)"],
    ['misspelt command', ['lsit'], "unknown command 'lsit', did you mean list? (see: sandbox-state --help)"],
    ['unknown option', ['--nonsense', 'list'], "unknown option '--nonsense' (see: sandbox-state --help)"],
    ["a command's unknown option", ['list', '-x'], "unknown option '-x' (see: sandbox-state list --help)"],
    ['a missing argument', ['state'], "missing required argument 'id' (see: sandbox-state state --help)"],
    ['an import without a program', ['import'], "missing required argument 'program'"],
    [
      'too many arguments',
      ['state', 'a', 'b'],
      "too many arguments for 'state'. Expected 1 argument but got 2; text with spaces needs quotes (see: sandbox-state state --help)",
    ],
    [
      'an argument where there is none',
      ['reap', 'a'],
      "too many arguments for 'reap'. Expected 0 arguments but got 1 (see: sandbox-state reap --help)",
    ],
    [
      'an option without its value',
      ['list', '--root'],
      "option '--root <dir>' needs a value (see: sandbox-state --help)",
    ],
    ['the name of a property that every object has', ['constructor'], "unknown command 'constructor' (see"],
    [
      'too many states',
      ['transition', 'a', 'ready', 'running'],
      "too many arguments for 'transition'. Expected 2 arguments but got 3",
    ],
    ['a ~ that no shell expanded', ['list', '--root=~/x'], 'no shell expanded the ~ of ~/x: write $HOME'],
    ['a ~ alone', ['create', 'a', '--root', '~'], 'no shell expanded the ~'],
    [
      'an address without its slashes',
      ['list', '--root', 'etcd:2379'],
      '"etcd:2379" is not an address such as etcd://',
    ],
    ['an empty root', ['list', '--root', ''], '"" is not a path (see: sandbox-state list --help)'],
    ['a root of an unknown kind', ['list', '--root', 'gopher://h/'], '"gopher://h/"'],
    ['an unknown state', ['transition', 'a', 'asleep'], "USAGE: 'asleep' is invalid for argument 'to'"],
    [
      'an unknown state in --from',
      ['transition', 'a', 'ready', '--from', 'x'],
      "option '--from <state>' argument 'x'",
    ],
    [
      'an unknown state in --state',
      ['list', '--state', 'Ready'],
      "option '--state <state>' argument 'Ready'",
    ],
    [
      'a misspelt state',
      ['transition', 'a', 'runing'],
      "'runing' is invalid for argument 'to'. Allowed choices are ready, running, ",
    ],
    [
      'a misspelt format',
      ['list', '--format', 'JSON'],
      "argument 'JSON' is invalid. Allowed choices are table, ",
    ],
    ['an unknown format', ['list', '--format', 'yaml'], 'Allowed choices are table, json, ids (see'],
    [
      'a format that another command has',
      ['create', 'a', '--format', 'ids'],
      'Allowed choices are text, json (see',
    ],
    [
      'an unknown command to explain',
      ['help', 'lsit'],
      "'lsit' is invalid for argument 'command'. Allowed choices are list, state, inspect, create, ",
    ],
    ...['', 'x', '-1', '1e3', 'Infinity', '0x1', ' 1', '1.'].map(
      text =>
        [`--lock-timeout '${text}'`, ['list', '--lock-timeout', text], 'It must be in seconds'] as const,
    ),
    ...['', 'x', '1.5', '1e3', '+1', '--1', '9007199254740992', '-9007199254740992', 'NaN', '٣'].map(
      text =>
        [`--block-index '${text}'`, ['create', 'a', '--block-index', text], 'It must be an integer'] as const,
    ),
    ...['-1', '4294967296', 'x'].map(
      text =>
        [
          `--memory-block-size '${text}'`,
          ['update', 'a', '--memory-block-size', text],
          'from 0 to 2^32 - 1',
        ] as const,
    ),
  ]

  it.each(wrong)('%s: exit status 2 and one line', async (_, argv, message) => {
    const root = new Root()
    const { status, stdout, stderr } = await root.cli(argv)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^sandbox-state: USAGE: [^\n]+ \(see: sandbox-state( [a-z]+)? --help\)\n$/)
    expect(stderr).toContain(message)
    expect(() => root.snapshot()).toThrow('ENOENT') // Nothing was made.
  })

  it.each([['--format', 'json'], ['--format=json']])('is JSON with %s %s', async (...format) => {
    const { status, stdout, stderr } = await cli(['state', ...format])
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(JSON.parse(stderr)).toEqual({
      code: 'USAGE',
      message: "missing required argument 'id' (see: sandbox-state state --help)",
    })
    expect(stderr).toMatch(/^[^\n]+\n$/)
  })

  it('is not JSON because of what follows --', async () => {
    const { stderr } = await cli(['state', 'a', '--', '--format', 'json'])
    expect(stderr).toMatch(/^sandbox-state: USAGE: too many arguments/)
  })
})

describe('an error', () => {
  it('is one line that no terminal obeys', async () => {
    for (const argv of [
      ['state', HOSTILE],
      [HOSTILE],
      ['list', `--${HOSTILE}`],
      ['list', '--state', HOSTILE],
      ['state', 'none', '--root', join('/proc/self/status', HOSTILE)],
    ]) {
      const { status, stdout, stderr } = await cli(argv)
      expect(status).toBeGreaterThan(0)
      expect(stdout).toBe('')
      expect(stderr).toMatch(/^sandbox-state: [A-Z_]+: [^\n]+\n$/)
      expect(stderr).not.toMatch(UNPRINTABLE)
    }
  })

  it('says as JSON what it is about', async () => {
    const root = new Root(join(temporaryFolder(), HOSTILE))
    root.put('a', 'nonsense')
    const { status, stdout, stderr } = await root.cli('state a --format json')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).not.toMatch(UNPRINTABLE)
    const path = join(root.path, 'a', 'state.json')
    expect(JSON.parse(stderr)).toEqual({
      code: 'CORRUPT_STATE',
      message: expect.stringContaining(path),
      id: 'a',
      path,
    })
  })
})

describe('what the operating system refuses', () => {
  it('is an IO_ERROR, wherever it comes up', async () => {
    const gone = temporaryFolder()
    const program = `process.chdir(${JSON.stringify(gone)}); fs.rmdirSync(${JSON.stringify(gone)});
      import(${JSON.stringify(join(BIN, '..', 'run.js'))}).then(async ({ run }) => {
        process.exitCode = await run(['list', '--root', 'x'], process)
      })`
    const ran = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' })
    expect(ran).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'sandbox-state: IO_ERROR: the current folder does not exist any more\n',
    })
    const demo = await spawnCli(['demo'], { TMPDIR: '/dev/null' })
    expect(demo).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^sandbox-state: IO_ERROR: ENOTDIR/),
    })
  })
})

describe('a sandbox that does not exist', () => {
  it('names the root where it was looked for', async () => {
    const root = new Root()
    for (const line of [
      'state a',
      'transition a running',
      'update a --block-index 1',
      'delete a',
      'history a',
      'wait a running',
    ]) {
      expect(await root.cli(line)).toEqual({
        status: 1,
        stdout: '',
        stderr: `sandbox-state: NOT_FOUND: there is no sandbox a in ${root.path}\n`,
      })
    }
  })
})

describe('the root', () => {
  it('may stand before the command, after it, or in the environment', async () => {
    const root = new Root()
    await root.done('create a')
    for (const argv of [
      ['--root', root.path, 'list', '--format', 'ids'],
      ['list', '--root', root.path, '--format', 'ids'],
      ['list', '--format', 'ids', `--root=${root.path}`],
    ]) {
      expect(await cli(argv)).toEqual({ status: 0, stdout: 'a\n', stderr: '' })
    }
    const env = { SANDBOX_STATE_ROOT: root.path }
    expect(await cli(['list', '--format', 'ids'], { env })).toEqual({ status: 0, stdout: 'a\n', stderr: '' })
  })

  it('is below $XDG_STATE_HOME or the home otherwise, and made by the first create', async () => {
    const home = temporaryFolder()
    for (const env of [{ XDG_STATE_HOME: home }, { HOME: home }]) {
      expect((await cli(['create', 'a'], { env })).status).toBe(0)
    }
    expect(new Root(join(home, 'sandbox-state')).file('a')).toMatchObject({ state: 'ready' })
    expect(new Root(join(home, '.local/state/sandbox-state')).file('a')).toMatchObject({ state: 'ready' })
  })
})
