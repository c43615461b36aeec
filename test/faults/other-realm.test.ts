import { expect, test } from 'vitest'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'

// In Jest and in vitest's vmThreads the library runs in a realm of its own: what Node throws is no `instanceof Error` there.

test.each(filesystems)('in another realm every code is as usual, on $name', async ({ folder }) => {
  const execArgv = ['--experimental-vm-modules', '--no-warnings']
  const report = await nextMessage(startProgram('other-realm', [temporaryFolder(folder)], { execArgv }))
  expect(report).toEqual({
    read: 'NOT_FOUND',
    create: 'ready',
    again: 'ALREADY_EXISTS',
    atOnce: ['ready', 'ready', 'NOT_FOUND'],
    list: 'a',
    noRoot: 'nothing',
    bytes: 'ready',
    close: 'nothing',
  })
})

test.each(filesystems)('with frozen intrinsics everything works, on $name', async ({ folder }) => {
  const execArgv = ['--frozen-intrinsics', '--no-warnings']
  const report = await nextMessage(startProgram('everything', [temporaryFolder(folder)], { execArgv }))
  expect(report).toEqual({
    created: 'ready',
    listed: ['a'],
    watched: 'created a',
    history: ['ready', 'running'],
    found: [],
    closed: true,
  })
})
