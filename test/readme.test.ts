import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERROR_CODES } from 'sandbox-state'
import { expect, test } from 'vitest'
import { COMMANDS } from '#src/cli/commands.js'
import { MEMORY, programEnvironment } from './cli/support.js'
import { comparable, runSessions, sessionsIn } from './docs/console.js'
import { fencedBlock, section } from './docs/markdown.js'
import { temporaryFolder } from './support/root.js'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

test('the session of the command goes as it is shown', () => {
  const sessions = sessionsIn(readme)
  const root = join(temporaryFolder(MEMORY), 'root')
  const ran = runSessions(sessions, programEnvironment(), command => command.replace('/tmp/sandboxes', root))
  expect(ran.map(comparable)).toEqual(sessions.map(({ text }) => comparable(text)))
})

test('the number of commands is right', () => {
  expect(readme).toContain(`${COMMANDS.length}\ncommands`)
})

test('every code of an error is named, and no other', () => {
  const codes = Array.from(section(readme, 'Errors').matchAll(/`([A-Z]+(?:_[A-Z]+)*)`/g), ([, code]) => code)
  expect(codes).toEqual([...ERROR_CODES])
})

test('it is read in ten minutes', () => {
  expect(readme.trimEnd().split('\n').length).toBeLessThanOrEqual(150)
  expect(fencedBlock(readme, '<!-- example -->').split('\n').length).toBeLessThanOrEqual(13)
})

test('the commands to try it are single lines that do their own set-up', () => {
  for (const line of ['npm ci && npm run demo', 'npm ci && npm test'])
    expect(readme).toContain(`\`\`\`sh\n${line}\n\`\`\``)
})
