import { writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { openStore } from '../../store.js'

// A process of the demo: owns a sandbox, moves it to running, and stands for what runs in it until it is killed.

/** How long it lives, in ms, if the demo that should kill it was itself killed. */
const LONGEST_LIFE = 60_000

const [, , root = '', id = ''] = process.argv
const store = await openStore(root)
await store.own(id)
await store.transition(id, 'ready', 'running')
writeSync(1, 'running\n')
await sleep(LONGEST_LIFE)
