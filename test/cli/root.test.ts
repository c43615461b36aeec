import { homedir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { resolveRoot } from '#src/cli/root.js'

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
})
