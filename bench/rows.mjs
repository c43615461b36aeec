import { atOnce } from './rows/at-once.mjs'
import { list } from './rows/list.mjs'
import { create, read, transition, update } from './rows/one-sandbox.mjs'
import { own, shared } from './rows/processes.mjs'
import { recovery } from './rows/recovery.mjs'
import { start } from './rows/start.mjs'

/** Every group of rows, in the order in which they are run and shown: name, title and `run(context)`. */
export const GROUPS = [transition, update, read, create, own, shared, atOnce, list, recovery, start]
