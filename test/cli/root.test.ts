import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { resolveRoot } from '#src/cli/root.js'
import { temporaryFolder } from '../support/root.js'
import { BIN } from './support.js'

describe('the root', () => {
  const env = { SANDBOX_STATE_ROOT: '/variable', XDG_STATE_HOME: '/xdg', HOME: '/home/me' }

  it.each([
    ['--root before all else', '/option', env, '/option'],
    ['--root as it is, were it empty: the store refuses it', '', env, ''],
    ['a relative --root as it is', 'here', env, 'here'],
    ['then $SANDBOX_STATE_ROOT', undefined, env, '/variable'],
    ['then $XDG_STATE_HOME', undefined, { ...env, SANDBOX_STATE_ROOT: '' }, '/xdg/sandbox-state'],
    [
      'not a relative $XDG_STATE_HOME',
      undefined,
      { XDG_STATE_HOME: 'xdg', HOME: '/h' },
      '/h/.local/state/sandbox-state',
    ],
    [
      'not an empty $XDG_STATE_HOME',
      undefined,
      { XDG_STATE_HOME: '', HOME: '/h' },
      '/h/.local/state/sandbox-state',
    ],
    ['then $HOME', undefined, { HOME: '/h' }, '/h/.local/state/sandbox-state'],
    ["then the user's home", undefined, { HOME: '' }, `${homedir()}/.local/state/sandbox-state`],
  ])('%s', (_, option, variables, root) => {
    expect(resolveRoot(option, variables)).toBe(root)
  })

  it.skipIf(process.geteuid?.() !== 0)(
    'for a user without a home there must be --root or its variable',
    () => {
      const user = { uid: 54_321, gid: 54_321 }
      const command = `env -u HOME -u XDG_STATE_HOME -u SANDBOX_STATE_ROOT "$0" "$1" list`
      const options = { ...user, encoding: 'utf8' } as const
      const { status, stderr } = spawnSync('sh', ['-c', command, process.execPath, BIN], options)
      expect(stderr).toMatch(
        /^sandbox-state: USAGE: .* no home folder: give --root, or set SANDBOX_STATE_ROOT /,
      )
      expect(status).toBe(2)
    },
  )

  it.each(['create a --root', 'list --root', 'watch --root', 'copy /usr'])(
    'that is not UTF-8 is refused: %s',
    line => {
      const folder = temporaryFolder()
      // bash gives the byte as it is, where Node would write it as UTF-8.
      const script = `root=$(printf '%s/\\377' "$2"); exec "$0" "$1" $3 "$root"`
      const { status, stderr } = spawnSync('bash', ['-c', script, process.execPath, BIN, folder, line], {
        encoding: 'utf8',
      })
      expect(stderr).toMatch(/^sandbox-state: USAGE: .* is not UTF-8/)
      expect(status).toBe(2)
      expect(readdirSync(folder)).toEqual([])
    },
  )
})
