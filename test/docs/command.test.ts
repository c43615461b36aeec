import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '#src/cli/commands.js'
import { BIN, cli, MEMORY } from '../cli/support.js'
import { temporaryFolder } from '../support/root.js'
import { runSessions, sessionsIn } from './console.js'

const document = readFileSync(fileURLToPath(new URL('../../docs/command.md', import.meta.url)), 'utf8')

describe('docs/command.md', () => {
  it.each(['', ...COMMANDS.map(({ name }) => name)])('has the help of %s as it is printed', async name => {
    const { stdout } = await cli(name === '' ? ['--help'] : [name, '--help'])
    expect(document).toContain(`\n${name === '' ? '' : `## ${name}\n\n`}\`\`\`\n${stdout}\`\`\`\n`)
  })

  const missing = ['jq', 'flock', 'timeout', 'truncate', 'xargs'].filter(
    tool => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
  )
  it.skipIf(missing.length > 0)(
    `shows sessions as they go${missing.length > 0 ? ` (skipped: there is no ${missing.join(', ')})` : ''}`,
    () => {
      const sessions = sessionsIn(document)
      expect(sessions.length).toBeGreaterThan(15)
      const root = join(temporaryFolder(MEMORY), 'root')
      const env = { ...process.env, PATH: `${programFolder()}:${process.env.PATH}`, NO_COLOR: '1' }
      const ran = runSessions(sessions, env, command => command.replaceAll('/run/sandboxes', root))
      expect(ran.map(text => comparable(text.replaceAll(root, '/run/sandboxes')))).toEqual(
        sessions.map(({ text }) => comparable(text)),
      )
    },
    150_000,
  )
})

/** Where a shell finds the program, as npm installs it. */
function programFolder(): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'lib'))
  symlinkSync(BIN, join(folder, 'lib', 'sandbox-state'))
  const program = join(folder, 'sandbox-state')
  writeFileSync(
    program,
    `#!/bin/sh\nexec '${process.execPath}' '${join(folder, 'lib', 'sandbox-state')}' "$@"\n`,
  )
  chmodSync(program, 0o755)
  return folder
}

/** Without what differs from run to run: times, lengths of time, revisions, shares, processes, and the widths of their columns. */
function comparable(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
    .replaceAll(/\b(\d+m )?\d+(\.\d)?[sm]\b/g, 'SECONDS')
    .replaceAll(/(revision"?:? *"?)[\d.-]+/gi, '$1REVISION')
    .replaceAll(/\b\d+%/g, 'SHARE')
    .replaceAll(/\bpid \d+/g, 'pid N')
    .replaceAll(/\.quarantine\/\S+/g, '.quarantine/ENTRY')
    .replaceAll(/ on [\w.-]+ since/g, ' on HOST since')
    .replaceAll(/ +/g, ' ')
}
