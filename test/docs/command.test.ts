import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '#src/cli/commands.js'
import { cli, MEMORY, programEnvironment } from '../cli/support.js'
import { long } from '../support/effort.js'
import { temporaryFolder } from '../support/root.js'
import { comparable, LIMIT, runSessions, sessionsIn } from './console.js'

const document = readFileSync(fileURLToPath(new URL('../../docs/command.md', import.meta.url)), 'utf8')

describe('docs/command.md', () => {
  it.each(['', ...COMMANDS.map(({ name }) => name)])('has the help of %s as it is printed', async name => {
    const { stdout } = await cli(name === '' ? ['--help'] : [name, '--help'])
    expect(document).toContain(`\n${name === '' ? '' : `## ${name}\n\n`}\`\`\`\n${stdout}\`\`\`\n`)
  })

  const missing = ['jq', 'flock', 'timeout', 'truncate', 'xargs'].filter(
    tool => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
  )
  it.skipIf(!long || missing.length > 0)(
    `shows sessions as they go${missing.length > 0 ? ` (skipped: there is no ${missing.join(', ')})` : ''}`,
    () => {
      const sessions = sessionsIn(document)
      expect(sessions.length).toBeGreaterThan(15)
      const root = join(temporaryFolder(MEMORY), 'root')
      const ran = runSessions(sessions, programEnvironment(), command =>
        command.replaceAll('/run/sandboxes', root),
      )
      expect(ran.map(text => comparable(text.replaceAll(root, '/run/sandboxes')))).toEqual(
        sessions.map(({ text }) => comparable(text)),
      )
    },
    LIMIT + 30_000,
  )
})
