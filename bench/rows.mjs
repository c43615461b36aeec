import { atOnce } from './rows/at-once.mjs'
import { list } from './rows/list.mjs'
import { create, read, transition, update } from './rows/one-sandbox.mjs'
import { own, shared } from './rows/processes.mjs'
import { recovery } from './rows/recovery.mjs'
import { start } from './rows/start.mjs'

/**
 * Every row, in the order of measurement and of the tables: its name, its title, its default places (`on`), and
 * `measure(context)`, which returns the lines of its table.
 */
export const ROWS = [transition, update, read, create, own, shared, atOnce, list, recovery, start]
