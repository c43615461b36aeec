// Flushes files of a folder all at once, and reports what each flush failed with: flush-all.mjs FOLDER COUNT [BAD...]
// BAD are the numbers of those whose descriptor is closed.
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { flushAll } from '../../dist/file/posix/flush-all.js'

const [folder, count, ...bad] = process.argv.slice(2)
const fds = Array.from({ length: Number(count) }, (_, i) => openSync(join(folder, String(i)), 'w'))
for (const fd of fds) writeSync(fd, 'content')
for (const i of bad) closeSync(fds[i])
const failures = flushAll(fds)
console.log(JSON.stringify(failures.map(failure => failure?.code ?? null)))
