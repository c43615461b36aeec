import { expect, test } from 'vitest'
import { tellsOpenFiles } from '../cli/open-files.js'
import { nextMessage, startProgram } from '../support/program.js'
import { filesystems, temporaryFolder } from '../support/root.js'

// A program may end its worker threads at any moment, and a thread that is ended while it loads koffi aborts the process.

const places = tellsOpenFiles ? filesystems : []

test.each(places)(
  'worker threads start none of ours, and leave nothing open or locked on $name',
  async ({ folder }) => {
    const child = startProgram('worker-threads', [temporaryFolder(folder)])
    expect(await nextMessage(child)).toEqual({ started: [0, 0, 0, 0, 0, 0], left: 0, changed: 4 })
  },
)
